import { copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { load } from '../../backends/tfjs/driver/index.ts';
import { nodeTfjs } from '../../backends/tfjs/node_tfjs.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { pgconv } from '../testing/command_line.ts';
import { printedOutput } from '../testing/printed_output.ts';

/*
 * Answers that transformers 5.17 gives to a picture on its side, with several end tokens, and with a processor's own
 * mean and deviation: by `pgconv run`, and by a runtime on the same files.
 */

const IMAGES = 'fixtures/shapes/images';

/** What differs from fixtures/shapes/hf, by the file that says it. */
const CHECKPOINTS = {
  plain: {},
  stops: { 'generation_config.json': { eos_token_id: [1, 340] } },
  normalized: { 'preprocessor_config.json': { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] } },
} as const;
type Name = keyof typeof CHECKPOINTS;

/** 000.png as a phone stores it: turned to its left, and EXIF says so. */
let phone: string;
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-answers-'));
  phone = join(root, 'phone.jpg');
  const turned = await sharp(join(IMAGES, '000.png')).rotate(270).toBuffer();
  await sharp(turned).withMetadata({ orientation: 6 }).jpeg({ quality: 95 }).toFile(phone);
});

afterAll(() => rm(root, { recursive: true, force: true }));

const made = new Map<string, Promise<string>>();
function bundleOf(name: Name, backend: string): Promise<string> {
  const key = `${name}-${backend}`;
  const bundle = made.get(key) ?? convertTo(name, backend, join(root, key));
  made.set(key, bundle);
  return bundle;
}

async function convertTo(name: Name, backend: string, out: string): Promise<string> {
  const checkpoint = join(root, name);
  await cp('fixtures/shapes/hf', checkpoint, { recursive: true });
  for (const [file, fields] of Object.entries(CHECKPOINTS[name])) {
    const path = join(checkpoint, file);
    await writeFile(path, JSON.stringify({ ...(JSON.parse(await readFile(path, 'utf8')) as object), ...fields }));
  }
  await convert({ checkpoint, backend, precision: 'fp32', out, verify: false }, silentReporter);
  return out;
}

interface Answer {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly boxes: readonly object[];
}

async function run(bundle: string, image: string, prompt: string, ...more: readonly string[]): Promise<Answer> {
  const { code, out, err } = await pgconv('run', bundle, '--image', image, '--prompt', prompt, '--json', ...more);
  expect(code, err + out).toBe(0);
  return printedOutput(out, 'run') as Answer;
}

const UPRIGHT = '<loc0640><loc0384><loc1023><loc0768> green circle';

describe('pgconv run', () => {
  test('turns a phone’s picture, and boxes are in the picture as it is seen', async () => {
    const bundle = await bundleOf('plain', 'onnx');
    const drawn = join(root, 'drawn.png');
    const turned = await run(bundle, phone, 'detect green circle', '--draw', drawn);
    expect(turned.text).toBe(UPRIGHT);
    const upright = await run(bundle, join(IMAGES, '000.png'), 'detect green circle');
    expect(turned.boxes).toEqual(upright.boxes);
    // what was drawn is upright: but for the box it is the picture itself
    const pixels = async (file: string) => sharp(file).removeAlpha().raw().toBuffer();
    const [found, expected] = [await pixels(drawn), await pixels(join(IMAGES, '000.png'))];
    const differing = expected.filter((value, i) => Math.abs(value - found[i]!) > 40).length / expected.length;
    expect(differing).toBeLessThan(0.1);
    // big_vision takes it as it is stored
    expect((await run(bundle, phone, 'detect green circle', '--resize', 'bigvision')).text).not.toBe(UPRIGHT);
  });

  test('ends at every end token of generation_config.json', async () => {
    const { tokens } = await run(await bundleOf('stops', 'onnx'), join(IMAGES, '000.png'), 'caption en');
    expect(tokens).toEqual([341, 340]);
  });

  test('normalizes as the processor does', async () => {
    const bundle = await bundleOf('normalized', 'onnx');
    const { text } = await run(bundle, join(IMAGES, '018.png'), 'detect orange triangle');
    expect(text).toBe('<loc0128><loc0000><loc0512><loc0384> orange triangle');
    // with the other original's own steps in their place
    const other = await run(bundle, join(IMAGES, '018.png'), 'detect orange triangle', '--resize', 'bigvision');
    expect(other.text).not.toBe(text);
  });

  describe('of several pictures', () => {
    const [first, second] = [join(IMAGES, '000.png'), join(IMAGES, '002.png')] as const;
    // by transformers 5.17 in f32: shared/cases/multi-image-run
    const BOTH = 'a green circle and a yellow square and an orange triangle';

    test('says what transformers says, with <image> in the prompt or without', async () => {
      const bundle = await bundleOf('plain', 'onnx');
      for (const prompt of ['caption en', '<image><image>caption en'])
        expect((await run(bundle, first, prompt, '--image', second)).text).toBe(BOTH);
    });

    test('of a folder of frames, each n-th', async () => {
      const bundle = await bundleOf('plain', 'onnx');
      const frames = join(root, 'frames');
      await mkdir(frames, { recursive: true });
      for (const [name, picture] of [
        ['1.png', first],
        ['2.png', join(IMAGES, '018.png')],
        ['10.png', second],
      ] as const)
        await copyFile(picture, join(frames, name));
      const asked = ['run', bundle, '--frames', frames, '--prompt', 'caption en', '--json'];
      const { code, out, err } = await pgconv(...asked, '--every', '2');
      expect(code, err).toBe(0);
      expect(printedOutput(out, 'run')).toMatchObject({
        text: BOTH,
        pictures: ['1.png', '10.png'].map((name) => join(frames, name)),
      });
    });

    test('that do not fit are refused before one is decoded', async () => {
      const many = join(root, 'many');
      await mkdir(many, { recursive: true });
      await Promise.all(Array.from({ length: 130 }, (_, i) => writeFile(join(many, `${i}.png`), 'no picture')));
      const said = await pgconv('run', await bundleOf('plain', 'onnx'), '--frames', many, '--prompt', 'caption en');
      expect([said.code, said.err]).toEqual([2, expect.stringContaining('too_many_pictures: 130 pictures')]);
    });

    test('that are more than the model has positions for are refused with how many fit', async () => {
      const many = Array.from({ length: 200 }, () => ['--image', first]).flat();
      const { code, err } = await pgconv('run', await bundleOf('plain', 'onnx'), ...many, '--prompt', 'caption en');
      expect(code).toBe(2);
      expect(err).toMatch(/too_many_pictures: 200 pictures are 12800 tokens, with the prompt \d+: the model has \d+/);
      expect(err).toMatch(/give \d+ pictures at most/);
    });

    test.each([
      ['none', [], 'no_picture'],
      ['--every alone', ['--image', 'a.png', '--every', '2'], 'every_without_frames'],
      ['--draw on several', ['--image', 'a.png', '--image', 'b.png', '--draw', 'c.png'], 'draw_on_several'],
      ['a folder that is not there', ['--frames', 'nowhere'], 'no_frames'],
    ])('%s is refused', async (_, options, code) => {
      const said = await pgconv('run', await bundleOf('plain', 'onnx'), ...options, '--prompt', 'caption en');
      expect([said.code, said.err]).toEqual([2, expect.stringContaining(code)]);
    });
  });
});

test('pgconv/tfjs gives the same answers, of one bundle whose answers end with a space', async () => {
  const tf = await nodeTfjs('wasm');
  const bundle = await bundleOf('stops', 'tfjs');
  const said = async (image: string, prompt: string, integrity = true) => {
    const model = await load(bundle, { tf, integrity });
    let text = '';
    for await (const piece of model.generate({ image, prompt, maxNewTokens: 20 })) text += piece;
    model.dispose();
    return text;
  };
  expect(await said(join(IMAGES, '000.png'), 'caption en')).toBe('a ');
  expect(await said(phone, 'detect green circle')).toBe(UPRIGHT.replace('green circle', ''));
  const processor = join(bundle, 'preprocessor_config.json');
  const fields = JSON.parse(await readFile(processor, 'utf8')) as object;
  await writeFile(processor, JSON.stringify({ ...fields, ...CHECKPOINTS.normalized['preprocessor_config.json'] }));
  const asked = [join(IMAGES, '018.png'), 'detect orange triangle'] as const;
  await expect(said(...asked)).rejects.toMatchObject({ code: 'damaged' });
  expect(await said(...asked, false)).toBe('<loc0128><loc0000><loc0512><loc0384> ');
});
