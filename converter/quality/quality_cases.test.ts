import { cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, expect, test } from 'vitest';
import type { ProgramMetadata } from '../../ir/graph.ts';
import { inputsOfTests } from '../inputs/testing/inputs_of_tests.ts';
import { openModel } from '../models/open_model.ts';
import { tempFolders } from '../testing/bundle.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { checkpointTokenizer } from '../sidecars/checkpoint_tokenizer.ts';
import { preparedFor } from '../sidecars/prepared_files.ts';
import { builtInCases, casesOfFile } from './quality_cases.ts';
import { nextTokens, textTokens } from '../../verify/teacher_forced.ts';
import { PROCESSORS, processorFrom, type PixelMode } from '../../backends/client/images/processor.ts';

const folder = tempFolders();
const inputs = inputsOfTests();
let metadata: ProgramMetadata;
let tokenizer: Tokenizer | undefined;

beforeAll(async () => {
  const { checkpoint, model, close } = await openModel({ checkpoint: 'fixtures/shapes/hf' });
  metadata = model.program.metadata;
  tokenizer = checkpointTokenizer(await preparedFor(checkpoint, { metadata }));
  await close();
});
const how = () => ({ metadata, tokenizer, processor: PROCESSORS.huggingface, inputs: inputs() });

/** A file of cases with a picture beside it. */
async function fileOf(cases: readonly object[]): Promise<string> {
  const dir = await folder();
  await mkdir(join(dir, 'images'));
  await cp('fixtures/shapes/images/000.png', join(dir, 'images', 'a.png'));
  await writeFile(
    join(dir, 'eval.json'),
    JSON.stringify({ cases: cases.map((c) => ({ image: 'a.png', prompt: 'caption en', text: 'one', ...c })) }),
  );
  return join(dir, 'eval.json');
}

test('all cases of shapes with what was recorded; a limit takes different prompts first', async () => {
  const all = await casesOfFile('fixtures/shapes/eval.json', how());
  expect(all).toHaveLength(200);
  expect(all[0]).toMatchObject({
    name: '000.png',
    prompt: 'detect green circle',
    truth: '<loc0640><loc0128><loc0896><loc0384> green circle',
    recorded: { tokens: [1026, 770, 1409, 1154, 340, 327, 282, 1], minMargin: 0.46705 },
  });
  const few = await casesOfFile('fixtures/shapes/eval.json', { ...how(), limit: 5 });
  expect(new Set(few.map(({ prompt }) => prompt)).size).toBe(5);
});

test('the row of a case: text of the prompt, and what follows each of its positions', async () => {
  const [first] = await casesOfFile('fixtures/shapes/eval.json', { ...how(), limit: 1 });
  const prompt = await first!.load();
  const text = textTokens(prompt);
  expect(text[0]).toBe(metadata.bosTokenId);
  expect(prompt.inputIds.data.length).toBe(metadata.imageTokens + text.length);
  expect(nextTokens(prompt, [7, 8, 9])).toEqual([...text.slice(1), 7, 8, 9]);
  expect(nextTokens(prompt, []).at(-1)).toBeUndefined();
});

test('cases that are equal but for what is right keep it apart', async () => {
  const cases = await casesOfFile(
    await fileOf([{ truth: 'first' }, { prompt: 'ocr', truth: 'other' }, { truth: 'second' }, {}]),
    how(),
  );
  expect(cases.map(({ truth }) => truth)).toEqual(['first', 'other', 'second', undefined]);
});

test.each([
  ['tokens of another vocabulary', { tokens: [99999, 1] }, /cases\.0\.tokens/],
  ['no tokens', { tokens: [] }, /tokens/],
  ['masks that are no list', { masks: 'a.png' }, /cases\.0\.masks/],
  ['a truth that is no text', { truth: 3 }, /truth/],
])('%s are refused by field', async (_, extras, message) => {
  const file = await fileOf([extras]);
  await expect(casesOfFile(file, how())).rejects.toMatchObject({
    code: 'bad_samples',
    exitCode: 3,
    message: expect.stringMatching(message) as string,
    place: { file },
  });
});

test('prompts need a tokenizer; the built-in pictures do not', async () => {
  await expect(casesOfFile('fixtures/shapes/eval.json', { ...how(), tokenizer: undefined })).rejects.toMatchObject({
    code: 'no_tokenizer',
    exitCode: 2,
  });
  const [built] = builtInCases({ ...how(), tokenizer: undefined, limit: 1 });
  expect((await built!.load()).pixelValues.shape).toEqual([1, 3, metadata.imageSize, metadata.imageSize]);
});

test('true masks are read where there is a decoder of masks, and a bad one is refused before anything is computed', async () => {
  const how2 = { ...how(), metadata: { ...metadata, maskSize: 64 } };
  const file = await fileOf([{ prompt: 'segment red square' }, { masks: ['own.png'] }, {}]);
  const masks = join(dirname(file), 'masks');
  await mkdir(masks);
  const refused = casesOfFile(file, how2);
  await expect(refused).rejects.toMatchObject({ code: 'bad_mask', place: { file: join(masks, 'a.png') } });
  for (const name of ['a.png', 'own.png']) {
    const create = { width: 112, height: 112, channels: 3, background: 'white' } as const;
    await sharp({ create }).png().toFile(join(masks, name));
  }
  const cases = await casesOfFile(file, how2);
  expect(await Promise.all(cases.map(async ({ loadMasks }) => loadMasks?.()))).toEqual([
    { size: { width: 112, height: 112 }, masks: [new Uint8Array(112 * 112).fill(1)] },
    { size: { width: 112, height: 112 }, masks: [new Uint8Array(112 * 112).fill(1)] },
    undefined,
  ]);
  const plain = await casesOfFile(file, how());
  expect(plain.some(({ loadMasks }) => loadMasks)).toBe(false);
});

test('pictures are turned and normalized as the checkpoint’s processor says', async () => {
  const file = await fileOf([{}]);
  const pixelsOf = async (fields: object, mode: PixelMode = 'huggingface') => {
    const processor = processorFrom(mode, fields, 'preprocessor_config.json');
    const [only] = await casesOfFile(file, { ...how(), processor });
    return Array.from((await only!.load()).pixelValues.data);
  };
  const usual = await pixelsOf({});
  const scaled = await pixelsOf({ do_normalize: false });
  expect(Math.max(...usual.map((x, i) => Math.abs((x + 1) / 2 - scaled[i]!)))).toBeLessThan(1e-6);
  // the same picture on its side, and EXIF that says so
  const picture = join(dirname(file), 'images', 'a.png');
  const turned = await sharp(picture).rotate(270).toBuffer();
  await sharp(turned).withMetadata({ orientation: 6 }).png().toFile(picture);
  expect(await pixelsOf({})).toEqual(usual);
  expect(await pixelsOf({}, 'bigvision')).not.toEqual(usual);
});
