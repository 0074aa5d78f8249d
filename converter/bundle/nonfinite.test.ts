import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ArtifactFile } from '../../backends/backend.ts';
import { dtypes, type DType } from '../../ir/dtypes/index.ts';
import { tensorData, type Tensor, type TensorData } from '../../ir/tensor.ts';
import { castData } from '../../ir/views/cast.ts';
import { publishTo, tempFolders, testFields } from '../testing/bundle.ts';
import type { PublishOptions } from './publish.ts';
import { scanNonFinite } from './scan_nonfinite.js';

const tempFolder = tempFolders();

test.each(['f16', 'bf16'] as const)('all 65,536 patterns of %s are classed as the codec classes them', (dtype) => {
  const words = Uint16Array.from({ length: 65536 }, (_, i) => i);
  const values = new Float64Array(65536);
  dtypes[dtype].decode(new Uint8Array(words.buffer), 65536, values, 0);
  const mistakes: number[] = [];
  let infinite = 0;
  let nan = 0;
  for (let i = 0; i < 65536; i++) {
    const expected = { infinite: Math.abs(values[i]!) === Infinity ? 1 : 0, nan: Number.isNaN(values[i]) ? 1 : 0 };
    // alone, as the low and as the high half of a word
    for (const pair of [[words[i]!], [words[i]!, 0], [0, words[i]!]]) {
      const counts = scanNonFinite(new Uint8Array(Uint16Array.from(pair).buffer), dtype);
      if (counts.infinite !== expected.infinite || counts.nan !== expected.nan) mistakes.push(i);
    }
    infinite += expected.infinite;
    nan += expected.nan;
  }
  expect(mistakes).toEqual([]);
  expect(scanNonFinite(new Uint8Array(words.buffer), dtype)).toEqual({ infinite, nan });
});

test('f32: largest, infinite and NaN of either sign, at any alignment', () => {
  const words = [0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7f800001, 0xffffffff, 0, 0x80000000];
  const bytes = new Uint8Array(1 + words.length * 4);
  const view = new DataView(bytes.buffer);
  words.forEach((w, i) => view.setUint32(1 + i * 4, w, true));
  expect(scanNonFinite(bytes.subarray(1), 'f32')).toEqual({ infinite: 2, nan: 2 });
  expect(scanNonFinite(bytes.subarray(1), 'i32')).toEqual({ infinite: 0, nan: 0 });
});

/** Many elements, so that more than one step and more than one chunk is scanned. */
function weights(special: Readonly<Record<number, number>>, dtype: DType = 'f32'): Tensor {
  const data = dtypes[dtype].allocate(40_000);
  for (const [at, value] of Object.entries(special)) data[Number(at)] = value;
  return { dtype, shape: [40_000], data };
}

function fileOf(tensors: Readonly<Record<string, TensorData>>): ArtifactFile {
  return {
    path: 'weights',
    byteLength: Object.values(tensors).reduce((sum, t) => sum + t.byteLength, 0),
    async *chunks() {
      for (const [name, data] of Object.entries(tensors))
        for await (const bytes of data.chunks({ maxBytes: 8192 }))
          yield { bytes, tensor: { name, dtype: data.dtype, source: data } };
    },
  };
}

async function publish(
  sources: Readonly<Record<string, TensorData>>,
  dtype: DType,
  options: Partial<Omit<PublishOptions, 'claim'>> = {},
) {
  const dir = await tempFolder();
  const casted = Object.fromEntries(Object.entries(sources).map(([name, data]) => [name, castData(data, dtype)]));
  const result = publishTo(join(dir, 'out'), {
    artifactFiles: [fileOf(casted)],
    manifest: () => testFields,
    ...options,
  });
  await result.catch(() => {});
  return { result, left: await readdir(dir) };
}

test('weights that do not fit f16 fail the build by name, or are reported when allowed', async () => {
  const sources = { fine: tensorData(weights({ 5: 65504 })), huge: tensorData(weights({ 0: 70000, 39_999: -1e30 })) };
  const refused = await publish(sources, 'f16');
  await expect(refused.result).rejects.toMatchObject({
    code: 'weight_overflow',
    exitCode: 3,
    place: { tensor: 'huge', hint: expect.stringContaining('--allow-overflow') },
  });
  await expect(refused.result).rejects.toThrow('huge: 2 weights do not fit f16');
  expect(refused.left).toEqual([]);
  const allowed = await publish(sources, 'f16', { allowOverflow: true });
  expect((await allowed.result).nonFinite).toEqual([
    { file: 'weights', tensor: 'huge', dtype: 'f16', infinite: 2, overflowed: 2, nan: 0 },
  ]);
});

test('values that were not finite in the checkpoint are reported, and an error when strict', async () => {
  const sources = { odd: tensorData(weights({ 7: NaN, 8: Infinity, 30_000: -Infinity })) };
  for (const dtype of ['f16', 'f32'] as const) {
    const { result } = await publish(sources, dtype);
    expect((await result).nonFinite).toEqual([
      { file: 'weights', tensor: 'odd', dtype, infinite: 2, overflowed: 0, nan: 1 },
    ]);
    const strict = await publish(sources, dtype, { strict: true });
    await expect(strict.result).rejects.toMatchObject({
      code: 'weight_not_finite',
      exitCode: 3,
      place: { tensor: 'odd' },
    });
    expect(strict.left).toEqual([]);
  }
});

test('both at once are told apart', async () => {
  const sources = { odd: tensorData(weights({ 7: NaN, 8: Infinity, 9: 1e6 })) };
  const { result } = await publish(sources, 'f16', { allowOverflow: true });
  expect((await result).nonFinite).toMatchObject([{ infinite: 2, overflowed: 1, nan: 1 }]);
});
