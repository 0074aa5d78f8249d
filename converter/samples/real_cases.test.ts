import { cp } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import type { ProgramMetadata } from '../../ir/graph.ts';
import { PROCESSORS } from '../../backends/client/images/processor.ts';
import { SHAPES_METADATA } from '../../backends/testing/shapes.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { checkpointTokenizer } from '../sidecars/checkpoint_tokenizer.ts';
import { preparedFor } from '../sidecars/prepared_files.ts';
import { inputsOfTests } from '../inputs/testing/inputs_of_tests.ts';
import { tempFolders } from '../testing/bundle.ts';
import { picturesShown } from './folder_samples.ts';
import { pictureKey } from './picture_key.ts';
import { realCases } from './real_cases.ts';

const inputs = inputsOfTests();
const tempFolder = tempFolders();

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

test('samples judge until there are 200 positions, but for pictures that chose codes', async () => {
  const checkpoint = await openCheckpoint('fixtures/shapes/hf');
  const tokenizer = checkpointTokenizer(await preparedFor(checkpoint, { metadata: SHAPES_METADATA }));
  await checkpoint.close();
  const of = async (folder: string | undefined) =>
    realCases(
      'fixtures/shapes/eval.json',
      tokenizer,
      SHAPES_METADATA,
      PROCESSORS.huggingface,
      inputs(),
      await picturesShown([folder, 'default', undefined], inputs()),
    );
  const pictures = (cases: Awaited<ReturnType<typeof of>>) => cases.map(({ name }) => name.split(', ')[1]!);
  const all = await of(undefined);
  const positions = all.reduce((sum, { suffixIds }) => sum + 1 + suffixIds!.shape[1]!, 0);
  expect(positions).toBeGreaterThanOrEqual(200);
  expect(positions).toBeLessThan(230);
  const shown = await picturesShown(['fixtures/shapes'], inputs());
  expect(shown.size).toBe(32);
  const others = pictures(await of('fixtures/shapes'));
  expect(others.length).toBeGreaterThan(10);
  const isShown = async (name: string) => shown.has(await pictureKey(resolve('fixtures/shapes/images', name)));
  expect(await Promise.all(others.map(isShown))).not.toContain(true);
  expect(await Promise.all(pictures(all).map(isShown))).toContain(true);
  const copied = await copyOf('fixtures/shapes');
  expect(pictures(await of(copied))).toEqual(others);
});

/** A folder with the same cases and copies of the pictures. */
async function copyOf(folder: string): Promise<string> {
  const copied = await tempFolder();
  await cp(join(folder, 'images'), join(copied, 'images'), { recursive: true });
  await cp(join(folder, 'eval.json'), join(copied, 'eval.json'));
  return copied;
}
