import { expect, test } from 'vitest';
import type { ProgramMetadata } from '../../ir/graph.ts';
import { PROCESSORS } from '../../backends/client/images/processor.ts';
import { SHAPES_METADATA } from '../../backends/testing/shapes.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { checkpointTokenizer } from '../sidecars/checkpoint_tokenizer.ts';
import { preparedFor } from '../sidecars/prepared_files.ts';
import { inputsOfTests } from '../inputs/testing/inputs_of_tests.ts';
import { realCases } from './real_cases.ts';

const inputs = inputsOfTests();

async function casesOf(metadata: ProgramMetadata, withTokenizer = true) {
  const checkpoint = await openCheckpoint('fixtures/shapes/hf');
  const tokenizer = checkpointTokenizer(await preparedFor(checkpoint, { metadata: SHAPES_METADATA }));
  await checkpoint.close();
  return realCases(undefined, withTokenizer ? tokenizer : undefined, metadata, PROCESSORS.huggingface, inputs());
}

test('every built-in picture with every prompt, and what the model writes: more than 200 positions', async () => {
  const cases = await casesOf(SHAPES_METADATA);
  expect(new Set(cases.map(({ name }) => name)).size).toBe(16);
  expect(cases.map(({ name }) => name)).toContain('built-in "noise", "caption en"');
  expect(cases.reduce((sum, { maxNewTokens, logitsToKeep }) => sum + maxNewTokens + logitsToKeep, 0)).toBeGreaterThan(
    200,
  );
  for (const { inputIds, logitsToKeep, imageTokenId } of cases) {
    expect(logitsToKeep).toBe(1);
    expect(inputIds.data.at(-1)).not.toBe(imageTokenId);
  }
});

test('a model of real size writes a few tokens to four pictures, and its prompts count as well', async () => {
  const cases = await casesOf({ ...SHAPES_METADATA, layers: 40, hiddenSize: 4096, imageTokens: 256 });
  expect(cases.map(({ maxNewTokens }) => maxNewTokens)).toEqual([4, 4, 4, 4]);
  for (const { inputIds, logitsToKeep } of cases) expect(logitsToKeep).toBe(inputIds.data.length - 256);
});

test('without a tokenizer prompts are empty, and what is written is the model’s own', async () => {
  const cases = await casesOf(SHAPES_METADATA, false);
  expect(cases.map(({ name }) => name)).toContain('built-in "white", no prompt');
  for (const { inputIds, maxNewTokens } of cases) {
    expect(inputIds.data.length).toBe(SHAPES_METADATA.imageTokens + 1);
    expect(inputIds.data.at(-1)).toBe(SHAPES_METADATA.bosTokenId);
    expect(maxNewTokens).toBe(16);
  }
});
