import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { elementCount, readBytes, readTensor } from '../../ir/tensor.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { loadModel } from '../models/index.ts';
import { tempFolders } from '../testing/bundle.ts';
import { writeNpz } from './npz_writer.ts';
import { randomTensor } from './random_tensor.ts';
import { synthesize, syntheticTensors, writeSynthetic } from './synth.ts';
import { convert } from '../compile/convert.ts';
import { VARIANTS, type PaliGemmaConfig } from '../models/paligemma/config.ts';
import { TINY_2 } from '../testing/tiny_config.ts';
import { silentReporter } from '../terminal/reporter.ts';

const folder = tempFolders();

describe('random tensors', () => {
  test('any range gives the bytes that the whole has there', async () => {
    const data = randomTensor('bf16', [300, 777], { mean: 0, std: 0.02 }, 5);
    const whole = await readBytes(data);
    for (const [begin, end, maxBytes] of [
      [0, 2, 8],
      [131070, 131076, 64],
      [262144, whole.byteLength, 4096],
    ] as const)
      expect(await readBytes(data, { begin, end, maxBytes })).toEqual(whole.subarray(begin, end));
  });

  test.each(['f32', 'f16', 'bf16'] as const)('%s values have the mean and the spread asked for', async (dtype) => {
    const data = Array.from((await readTensor(randomTensor(dtype, [200_000], { mean: 1, std: 0.1 }, 3))).data);
    const mean = data.reduce((a, b) => a + b, 0) / data.length;
    const std = Math.sqrt(data.reduce((a, b) => a + (b - mean) ** 2, 0) / data.length);
    expect(Math.abs(mean - 1)).toBeLessThan(0.002);
    expect(Math.abs(std - 0.1)).toBeLessThan(0.002);
  });
});

test('an npz is read back as it was written', async () => {
  const path = join(await folder(), 'a.npz');
  const entries = (['f32', 'f16', 'bf16'] as const).map((dtype, i) => ({
    name: `params/${dtype}/w`,
    data: randomTensor(dtype, [3, i + 1], { mean: 0, std: 1 }, i),
  }));
  await writeNpz(path, entries);
  const checkpoint = await openCheckpoint(path);
  expect([...checkpoint.tensors.keys()]).toEqual(entries.map(({ name }) => name));
  for (const { name, data } of entries) {
    const read = checkpoint.tensors.get(name)!;
    expect([read.dtype, read.shape]).toEqual([data.dtype, data.shape]);
    expect(await readBytes(read)).toEqual(await readBytes(data));
  }
  await checkpoint.checkUnchanged();
  await checkpoint.close();
});

const TINY: PaliGemmaConfig = {
  vision: { layers: 2, width: 24, mlpWidth: 20, heads: 3, headDim: 8, patchSize: 4, imageSize: 12, epsilon: 1e-6 },
  text: {
    ...VARIANTS['paligemma-3b-224']!.text,
    layers: 2,
    width: 20,
    mlpWidth: 28,
    heads: 6,
    kvHeads: 2,
    headDim: 10,
    queryScale: 10 ** -0.5,
  },
  vocabSize: 77,
  tableRows: 128,
  imageTokenId: 77,
  retrievalWidth: 0,
  bosTokenId: 2,
  eosTokenId: 1,
  padTokenId: 0,
};

test('a folder that somebody makes meanwhile is left to them, and the failure told', async () => {
  const parent = await folder();
  const out = join(parent, 'out');
  const run = writeSynthetic(TINY, {
    variant: 'tiny',
    format: 'npz',
    dtype: 'bf16',
    out,
    onProgress: () => {
      mkdirSync(out, { recursive: true });
      writeFileSync(join(out, 'theirs'), '');
    },
  });
  await expect(run).rejects.toMatchObject({ code: 'cannot_write', place: { file: out } });
  expect([await readdir(parent), await readdir(out)]).toEqual([['out'], ['theirs']]);
});

test('unknown variants, layers out of range and an existing folder are refused, and an aborted run leaves nothing', async () => {
  const out = await folder();
  const options = { variant: 'paligemma-3b-224', format: 'hf', dtype: 'bf16', out: join(out, 'x') } as const;
  await expect(synthesize({ ...options, variant: 'paligemma-4b' })).rejects.toMatchObject({
    code: 'unknown_variant',
    exitCode: 2,
  });
  await expect(synthesize({ ...options, layers: 19 })).rejects.toMatchObject({ code: 'bad_layers', exitCode: 2 });
  await expect(synthesize({ ...options, out })).rejects.toMatchObject({ code: 'output_exists', exitCode: 4 });
  const stopped = new AbortController();
  await expect(
    synthesize({
      ...options,
      layers: 1,
      visionLayers: 1,
      signal: stopped.signal,
      onProgress: () => stopped.abort(new Error('enough')),
    }),
  ).rejects.toThrow('enough');
  expect(await readdir(out)).toEqual([]);
});

/**
 * Parameters at 224, 448 and 896 px (spec A.2): in big_vision's layout, 257152 rows, the head counted with the table.
 */
const PARAMETERS: Readonly<Record<string, readonly number[]>> = {
  'paligemma-3b': [2_923_335_408, 2_924_220_144, 2_927_759_088],
  'paligemma2-3b': [3_032_094_960, 3_032_979_696, 3_036_518_640],
  'paligemma2-10b': [9_662_409_456, 9_663_294_192, 9_666_833_136],
  'paligemma2-28b': [27_650_192_112, 27_651_076_848, 27_654_615_792],
};

describe('the published numbers of parameters', () => {
  const published = Object.entries(PARAMETERS).flatMap(([model, counts]) =>
    counts.map((count, i) => [`${model}-${[224, 448, 896][i]}`, count] as const),
  );
  const parameters = (variant: string, format: 'hf' | 'npz') =>
    syntheticTensors(VARIANTS[variant]!, { format, dtype: 'bf16' }).reduce(
      (sum, { data }) => sum + elementCount(data.shape),
      0,
    );

  test('every variant is in the table', () => {
    expect(published.map(([variant]) => variant)).toEqual(Object.keys(VARIANTS));
  });

  test.each(published)('%s: %d', (variant, count) => {
    expect(parameters(variant, 'npz')).toBe(count);
    // Hugging Face's table has 64 rows more: <image> and padding.
    expect(parameters(variant, 'hf')).toBe(count + 64 * VARIANTS[variant]!.text.width);
  });
});

/** Nothing is written: the vocabulary alone has 527 M parameters. */
test.each(
  Object.entries(VARIANTS).flatMap(([variant, config]) =>
    (['hf', 'npz'] as const).map((format) => [variant, format, config] as const),
  ),
)('%s as %s has the shapes by which it is recognised', async (variant, format, config) => {
  const tensors = new Map(syntheticTensors(config, { format, dtype: 'bf16' }).map(({ name, data }) => [name, data]));
  const checkpoint = {
    path: variant,
    tensors,
    files: [],
    sidecars: new Map(),
    warnings: [],
    checkUnchanged: async () => {},
    close: async () => {},
  };
  const { program, warnings } = await loadModel({
    ...checkpoint,
    ...(format === 'npz' ? { format: 'big_vision', config: undefined } : { format: 'huggingface', config: {} }),
  });
  expect(warnings).toEqual([]);
  expect(program.metadata).toMatchObject({
    variant,
    family: config.text.postNorms ? 'paligemma2' : 'paligemma',
    imageTokenId: 257152,
    vocabSize: 257152,
    layers: config.text.layers,
    kvHeads: config.text.kvHeads,
    headDim: config.text.headDim,
    hiddenSize: config.text.width,
    imageSize: config.vision.imageSize,
  });
});

test.each([
  ['paligemma', 'hf', TINY],
  ['paligemma', 'npz', TINY],
  ['paligemma2', 'hf', TINY_2],
  ['paligemma2', 'npz', TINY_2],
] as const)(
  '%s as %s: sizes that share no power of two are written, converted and verified; the same seed gives the same bytes',
  async (family, format, config) => {
    const out = await folder();
    const write = async (name: string) =>
      (await writeSynthetic(config, { variant: 'tiny', format, dtype: 'bf16', out: join(out, name), seed: 7 })).path;
    const path = await write('a');
    const { verification, manifest } = await convert(
      { checkpoint: path, backend: 'onnx', precision: 'fp32', out: join(out, 'bundle') },
      silentReporter,
    );
    expect(verification?.passed).toBe(true);
    expect(manifest.program).toMatchObject({
      family,
      layers: config.text.layers,
      imageTokens: 9,
      vocabSize: 77,
      kvHeads: 2,
      headDim: 10,
    });
    // What config.json was told of the 28B's query scale comes back; an npz has no place for it.
    if (format === 'hf')
      expect(manifest.inferences.find(({ field }) => field === 'text.queryScale')!.value).toBeCloseTo(
        config.text.queryScale,
        12,
      );
    const hash = async (dir: string) =>
      Promise.all(
        (await readdir(dir)).toSorted().map(async (name) =>
          createHash('sha256')
            .update(await readFile(join(dir, name)))
            .digest('hex'),
        ),
      );
    expect(await hash(path)).toEqual(await hash(await write('b')));
  },
);
