import { expect, test } from 'vitest';
import { PROCESSORS } from '../../backends/client/images/processor.ts';
import { SHAPES_METADATA } from '../../backends/testing/shapes.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { checkpointTokenizer } from '../sidecars/checkpoint_tokenizer.ts';
import { preparedFor } from '../sidecars/prepared_files.ts';
import { inputsOfTests } from '../inputs/testing/inputs_of_tests.ts';
import { realCases } from './real_cases.ts';

const inputs = inputsOfTests();

test('built-in prompts are text, whose positions alone have logits that are compared', async () => {
  const checkpoint = await openCheckpoint('fixtures/shapes/hf');
  const tokenizer = checkpointTokenizer(await preparedFor(checkpoint, { metadata: SHAPES_METADATA }));
  await checkpoint.close();
  const cases = await realCases(undefined, tokenizer, SHAPES_METADATA, PROCESSORS.huggingface, inputs());
  expect(cases!.map(({ name, maxNewTokens }) => [name, maxNewTokens])).toEqual(
    ['smooth', 'noise', 'checkers', 'white'].map((name) => [`built-in "${name}"`, 4]),
  );
  for (const { inputIds, logitsToKeep, imageTokenId } of cases!) {
    expect(logitsToKeep).toBe(inputIds.data.length - SHAPES_METADATA.imageTokens);
    expect([...inputIds.data].slice(-logitsToKeep)).not.toContain(imageTokenId);
  }
});

test('without a tokenizer there are none', async () => {
  expect(await realCases('any.jsonl', undefined, SHAPES_METADATA, PROCESSORS.huggingface, inputs())).toBeUndefined();
});
