import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../checkpoints/index.ts';
import { tempFolder } from '../checkpoints/testing/temp_folder.ts';
import { SHAPES_METADATA } from '../../backends/testing/shapes.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { checkpointTokenizer } from '../sidecars/checkpoint_tokenizer.ts';
import { preparedFor } from '../sidecars/prepared_files.ts';
import { inputsOfTests } from '../inputs/testing/inputs_of_tests.ts';
import { folderSamples, MAX_SAMPLES } from './folder_samples.ts';
import { PROCESSORS } from '../../backends/client/images/processor.ts';

const picture = readFileSync('fixtures/preprocess/gray_77x50.png');
const inputs = inputsOfTests();
let tokenizer: Tokenizer;

beforeAll(async () => {
  const checkpoint = await openCheckpoint('fixtures/shapes/hf');
  tokenizer = checkpointTokenizer(await preparedFor(checkpoint, { metadata: SHAPES_METADATA }))!;
  await checkpoint.close();
});

const show = (folder: string, maxSamples?: number) =>
  folderSamples(folder, {
    metadata: SHAPES_METADATA,
    tokenizer,
    processor: PROCESSORS.huggingface,
    inputs: inputs(),
    ...(maxSamples !== undefined && { maxSamples }),
  });
const read = async (folder: string, maxSamples?: number) => (await show(folder, maxSamples)).samples;
const names = async (files: Parameters<typeof tempFolder>[0], maxSamples?: number) =>
  (await read(tempFolder(files), maxSamples)).map(({ name }) => name);

describe('forms', () => {
  test('a file with cases, pictures beside it or in images/', async () => {
    const cases = {
      cases: [
        { image: 'a.png', prompt: 'caption en', text: 'ignored' },
        { image: 'b.png', prompt: 'ocr' },
        { image: 'a.png', prompt: '' },
      ],
    };
    expect(await names({ 'cases.json': JSON.stringify(cases), 'a.png': picture, 'images/b.png': picture })).toEqual([
      'a.png "caption en"',
      'b.png "ocr"',
      'a.png ""',
    ]);
    expect(
      await names({ 'eval.json': JSON.stringify(cases), 'a.png': picture, 'b.png': picture, 'prompts.txt': 'unread' }),
    ).toHaveLength(3);
  });

  test('prompts beside pictures', async () => {
    expect(await names({ 'b.jpg': picture, 'b.txt': 'detect cat\n', 'a.png': picture, 'a.txt': 'caption en' })).toEqual(
      ['a.png "caption en"', 'b.jpg "detect cat"'],
    );
  });

  test('a prompt a line: the fewer of pictures and prompts repeat', async () => {
    expect(await names({ 'a.png': picture, 'b.webp': picture, 'prompts.txt': 'one\r\n\n  \ntwo\nthree\n' })).toEqual([
      'a.png "one"',
      'b.webp "two"',
      'a.png "three"',
    ]);
    expect(await names({ 'a.png': picture, 'b.png': picture, 'prompts.txt': 'one' })).toEqual([
      'a.png "one"',
      'b.png "one"',
    ]);
  });

  test('the folder of a checkpoint with its eval.json; what is beyond the limit is left out evenly', async () => {
    expect(await read('fixtures/shapes')).toHaveLength(MAX_SAMPLES);
    expect((await show('fixtures/shapes')).leftOut).toBe(200 - MAX_SAMPLES);
    const few = (await read('fixtures/shapes', 4)).map(({ name }) => name.slice(0, 7));
    expect(few).toEqual(['000.png', '050.png', '100.png', '150.png']);
  });

  test('copies are known as one picture', async () => {
    const copies = await read(tempFolder({ 'a.png': picture, 'b.png': picture, 'prompts.txt': 'one\ntwo\nthree' }));
    expect(new Set(copies.map((sample) => sample.picture)).size).toBe(1);
    const different = await read('fixtures/shapes');
    expect(new Set(different.map((sample) => sample.picture)).size).toBe(MAX_SAMPLES);
  });

  test('a sample is a row that fits the model', async () => {
    const [sample] = await read(tempFolder({ 'a.png': picture, 'prompts.txt': 'caption en' }));
    const { pixelValues, inputIds, attentionMask } = await sample!.load();
    expect(pixelValues.shape).toEqual([1, 3, 112, 112]);
    expect(tokenizer.decode([...inputIds.data].slice(64))).toBe('<bos>caption en\n');
    expect(attentionMask.data.every((m) => m === 1)).toBe(true);
  });
});

describe('refusals', () => {
  const refused = async (files: Parameters<typeof tempFolder>[0]) => names(files).catch((error: unknown) => error);

  test.each<[string, Parameters<typeof tempFolder>[0], string, string]>([
    ['an empty folder', {}, 'no pictures', 'prompts.txt'],
    [
      'no prompt for a picture',
      { 'a.png': picture, 'b.png': picture, 'a.txt': 'x' },
      'neither b.txt nor prompts.txt',
      'b.txt',
    ],
    [
      'a prompts file without prompts',
      { 'a.png': picture, 'prompts.txt': ' \n' },
      'there are no prompts',
      'one prompt a line',
    ],
    [
      'a prompts file that is no text',
      { 'a.png': picture, 'prompts.txt': new Uint8Array([0xff, 0xfe, 0x00]) },
      'UTF-8',
      'text',
    ],
    ['cases that are not JSON', { 'cases.json': '{"cases": [', 'a.png': picture }, 'not JSON', '{"cases"'],
    [
      'cases without a prompt',
      { 'cases.json': '{"cases": [{"image": "a.png"}]}', 'a.png': picture },
      'cases.0.prompt',
      '{"cases"',
    ],
    ['no cases', { 'cases.json': '{"cases": []}' }, 'cases', '{"cases"'],
    [
      'a picture that is not there',
      { 'cases.json': '{"cases": [{"image": "gone.png", "prompt": "x"}]}' },
      'does not exist',
      'put it there',
    ],
  ])('%s', async (_, files, message, hint) => {
    const error = await refused(files);
    expect(error).toMatchObject({
      name: 'BadInputError',
      code: 'bad_calibration',
      message: expect.stringContaining(message),
      place: { file: expect.any(String), hint: expect.stringContaining(hint) },
    });
  });

  test('no folder, and no tokenizer', async () => {
    await expect(read('no/such/folder')).rejects.toMatchObject({
      name: 'UsageError',
      code: 'no_calibration_folder',
      place: { file: 'no/such/folder' },
    });
    const folder = tempFolder({ 'a.png': picture, 'prompts.txt': 'x' });
    await expect(
      folderSamples(folder, {
        metadata: SHAPES_METADATA,
        tokenizer: undefined,
        processor: PROCESSORS.huggingface,
        inputs: inputs(),
      }),
    ).rejects.toMatchObject({ code: 'no_tokenizer', place: { hint: expect.stringContaining('--tokenizer') } });
  });

  test('a damaged picture is named when it is read', async () => {
    const [sample] = await read(tempFolder({ 'a.png': picture.subarray(0, 60), 'prompts.txt': 'x' }));
    await expect(sample!.load()).rejects.toMatchObject({
      name: 'BadInputError',
      place: { file: expect.stringContaining('a.png') },
    });
  });
});
