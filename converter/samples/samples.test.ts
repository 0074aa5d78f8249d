import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { findSamples, readSamples } from './samples.ts';
import { inputsOfTests } from '../inputs/testing/inputs_of_tests.ts';
import { tempFolders } from '../testing/bundle.ts';

const folder = tempFolders();
const inputs = inputsOfTests();

test('different prompts come first, and pictures are found in images/', async () => {
  const samples = await readSamples('fixtures/shapes/eval.json', inputs(), 4);
  expect(new Set(samples.map((sample) => sample.prompt)).size).toBe(4);
  expect(samples[0]).toMatchObject({
    name: '000.png',
    prompt: 'detect green circle',
    reference: '<loc0640><loc0384><loc1023><loc0768> green circle',
  });
});

test('the file beside a checkpoint is found, and none is no error', async () => {
  expect(await findSamples('fixtures/shapes')).toBe(join('fixtures/shapes', 'eval.json'));
  expect(await findSamples('fixtures/pg1-tiny')).toBeUndefined();
});

test.each([
  ['not JSON', '{'],
  ['no cases', '{"cases": []}'],
  ['a case without text', '{"cases": [{"image": "a.png", "prompt": ""}]}'],
  ['a picture that is not there', '{"cases": [{"image": "a.png", "prompt": "", "text": ""}]}'],
])('%s is refused with the way out', async (_, text) => {
  const dir = await folder();
  await mkdir(join(dir, 'images'));
  const file = join(dir, 'eval.json');
  await writeFile(file, text);
  await expect(readSamples(file, inputs())).rejects.toMatchObject({
    code: 'bad_samples',
    exitCode: 3,
    place: { file, hint: expect.stringMatching(/./) as string },
  });
});
