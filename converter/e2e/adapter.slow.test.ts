import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { answer } from '../samples/answer.ts';
import { bundleTokenizer, openBundle } from '../bundle/open_bundle.ts';
import { readManifest } from '../bundle/manifest.ts';
import { convert } from '../compile/convert.ts';
import type { ConvertOptions } from '../compile/convert_options.ts';
import { decodeImage } from '../images/decode.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { verifyBundle } from '../compile/verify_bundle.ts';

/*
 * The adapter of fixtures/shapes drops colours: with it, the model must give PEFT's own answers; without it, others.
 */

const BASE = 'fixtures/shapes/hf';
const ADAPTER = 'fixtures/shapes/lora-shapes';
let root: string;
let made = 0;
let adapted: string;
let plain: string;

interface EvalCase {
  readonly image: string;
  readonly prompt: string;
  readonly tokens: readonly number[];
  readonly text: string;
}
let cases: readonly EvalCase[];

async function converted(options: Partial<ConvertOptions>) {
  return convert(
    {
      checkpoint: BASE,
      backend: 'onnx',
      precision: 'fp16',
      out: join(root, `bundle-${made++}`),
      verify: false,
      ...options,
    },
    silentReporter,
  );
}

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-adapter-'));
  ({ cases } = JSON.parse(await readFile(`${ADAPTER}/eval.json`, 'utf8')) as { cases: readonly EvalCase[] });
  adapted = (await converted({ adapters: [{ dir: ADAPTER, scale: 1 }] })).out;
  plain = (await converted({})).out;
});

afterAll(() => rm(root, { recursive: true, force: true }));

async function answers(bundle: string, asked: readonly EvalCase[]) {
  const model = await openBundle(bundle);
  try {
    const tokenizer = (await bundleTokenizer(bundle, model.manifest))!;
    const said: { text: string; tokens: readonly number[] }[] = [];
    for (const { image, prompt } of asked)
      said.push(
        await answer(model, tokenizer, { image: await decodeImage(`fixtures/shapes/images/${image}`), prompt }),
      );
    return said;
  } finally {
    await model.dispose();
  }
}

describe('an adapter', () => {
  test('gives all answers that PEFT gave', async () => {
    expect(cases).toHaveLength(60);
    expect(await answers(adapted, cases)).toEqual(cases.map(({ text, tokens }) => ({ text, tokens })));
  });

  test('is what makes the difference: without it, no answer of the first ten is the same', async () => {
    const some = cases.slice(0, 10);
    for (const [i, { text }] of (await answers(plain, some)).entries()) expect(text).not.toBe(some[i]!.text);
  });

  test('on the same weights as .npz gives the same graphs', async () => {
    const { manifest } = await converted({
      checkpoint: 'fixtures/shapes/bv_f32.npz',
      adapters: [{ dir: ADAPTER, scale: 1 }],
    });
    const graphs = ({ files }: typeof manifest) => files.filter(({ path }) => path.startsWith('onnx/'));
    expect(graphs(manifest)).toEqual(graphs(await readManifest(adapted)));
  });

  test('of scale 0 changes nothing, and halves of it in a row are the whole', async () => {
    const hashes = async (adapters: ConvertOptions['adapters'], precision: ConvertOptions['precision'] = 'fp16') => {
      const { manifest } = await converted({ precision, ...(adapters && { adapters }) });
      return manifest.files.filter(({ path }) => path.startsWith('onnx/')).map(({ sha256 }) => sha256);
    };
    expect(await hashes([{ dir: ADAPTER, scale: 0 }])).toEqual(await hashes(undefined));
    // In f32 each merge rounds once, so twice half is compared where f16 hides all but a few of those roundings: by
    // answers.
    const halves = await converted({
      adapters: [
        { dir: ADAPTER, scale: 0.5 },
        { dir: ADAPTER, scale: 0.5 },
      ],
    });
    expect((await answers(halves.out, cases.slice(0, 8))).map(({ text }) => text)).toEqual(
      cases.slice(0, 8).map(({ text }) => text),
    );
  });

  test('is reported module by module, and the manifest records its files', async () => {
    const { changes, manifest } = await converted({ adapters: [{ dir: ADAPTER, scale: 1 }] });
    expect(changes.length).toBeGreaterThan(10);
    for (const change of changes) {
      expect(change).toMatchObject({ adapter: basename(ADAPTER), kind: 'lora', rank: 8 });
      expect(change.norm, change.module).toBeGreaterThan(0);
    }
    expect(manifest.options.adapters).toEqual([{ dir: ADAPTER, scale: 1 }]);
    expect(manifest.source.files.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['adapter-1/adapter_config.json', 'adapter-1/adapter_model.safetensors']),
    );
  });
});

describe('verify', () => {
  test('compares with the adapted model, as the manifest says or as --adapter says', async () => {
    expect((await verifyBundle({ bundle: adapted }, silentReporter)).passed).toBe(true);
    expect(
      (await verifyBundle({ bundle: adapted, against: BASE, adapters: [{ dir: ADAPTER, scale: 1 }] }, silentReporter))
        .passed,
    ).toBe(true);
  });

  test('fails an adapted bundle against its base, and a plain one against the adapted model', async () => {
    expect((await verifyBundle({ bundle: adapted, against: BASE }, silentReporter)).passed).toBe(false);
    expect(
      (await verifyBundle({ bundle: plain, against: BASE, adapters: [{ dir: ADAPTER, scale: 1 }] }, silentReporter))
        .passed,
    ).toBe(false);
  });

  test('says that --adapter needs --against', async () => {
    await expect(
      verifyBundle({ bundle: adapted, adapters: [{ dir: ADAPTER, scale: 1 }] }, silentReporter),
    ).rejects.toMatchObject({ code: 'adapters_without_against', exitCode: 2 });
  });
});
