import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { byteLengthOf, dtypes, type DType } from '../dtypes/index.ts';
import { bytesData, elementCount, readBytes, readTensor, type TensorData } from '../tensor.ts';
import { randomSource } from '../random_source.ts';
import { castData } from './cast.ts';
import { concatRows, padRows, zeroData } from './concat.ts';
import { reshapeData, selectRow, sliceRows } from './select.ts';
import { transposeData } from './transpose.ts';

/** A view beside what it should hold, elements computed one by one. */
interface Pair {
  readonly data: TensorData;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

function randomBytes(dtype: DType, shape: readonly number[], seed: number): TensorData {
  const next = randomSource(seed);
  const bytes = Uint8Array.from({ length: byteLengthOf(dtype, elementCount(shape)) }, () => Math.floor(next() * 256));
  // within 2^53
  if (dtype === 'i64') for (let i = 6; i < bytes.length; i += 8) bytes.fill(bytes[i - 1]! & 0x80 ? 0xff : 0, i, i + 2);
  return bytesData(dtype, shape, bytes);
}

async function pairOf(dtype: DType, shape: readonly number[], seed: number): Promise<Pair> {
  const data = randomBytes(dtype, shape, seed);
  return { data, shape, values: [...(await readTensor(data)).data] };
}

function indexOf(shape: readonly number[], flat: number): number[] {
  return shape.map((size, axis) => Math.floor(flat / elementCount(shape.slice(axis + 1))) % size);
}

function flatOf(shape: readonly number[], index: readonly number[]): number {
  return index.reduce((sum, i, axis) => sum * shape[axis]! + i, 0);
}

function transposed({ data, shape, values }: Pair, perm: readonly number[]): Pair {
  const out = perm.map((axis) => shape[axis]!);
  const moved = values.map((_, flat) => {
    const index = indexOf(out, flat);
    return values[
      flatOf(
        shape,
        shape.map((_, axis) => index[perm.indexOf(axis)]!),
      )
    ]!;
  });
  return { data: transposeData(data, perm), shape: out, values: moved };
}

type Step = (pair: Pair, choose: (count: number) => number) => Pair;
const STEPS: Readonly<Record<string, Step>> = {
  transpose(pair, choose) {
    if (dtypes[pair.data.dtype].bits < 8) return pair;
    const left = pair.shape.map((_, axis) => axis);
    return transposed(
      pair,
      pair.shape.map(() => left.splice(choose(left.length), 1)[0]!),
    );
  },
  cast({ data, shape, values }, choose) {
    const to = (['f16', 'bf16', 'f32', 'i8', 'u4', 'i4', 'i64'] as const)[choose(7)]!;
    return { data: castData(data, to), shape, values: values.map((x) => dtypes[to].round(x)) };
  },
  slice({ data, shape, values }, choose) {
    const begin = choose(shape[0]! + 1);
    const end = begin + choose(shape[0]! - begin + 1);
    const row = elementCount(shape.slice(1));
    if (!beginsByte(data, begin * row)) return { data, shape, values };
    return {
      data: sliceRows(data, begin, end),
      shape: [end - begin, ...shape.slice(1)],
      values: values.slice(begin * row, end * row),
    };
  },
  select({ data, shape, values }, choose) {
    if (shape.length < 2 || shape[0] === 0) return { data, shape, values };
    const row = elementCount(shape.slice(1));
    const index = choose(shape[0]!);
    if (!beginsByte(data, index * row)) return { data, shape, values };
    return {
      data: selectRow(data, index),
      shape: shape.slice(1),
      values: values.slice(index * row, (index + 1) * row),
    };
  },
  merge({ data, shape, values }, choose) {
    if (shape.length < 2) return { data, shape, values };
    const at = choose(shape.length - 1);
    const merged = [...shape.slice(0, at), shape[at]! * shape[at + 1]!, ...shape.slice(at + 2)];
    return { data: reshapeData(data, merged), shape: merged, values };
  },
  split({ data, shape, values }, choose) {
    const at = choose(shape.length);
    const size = shape[at]!;
    const divisor = [3, 2, 1].find((d) => size % d === 0)!;
    const split = [...shape.slice(0, at), divisor, size / divisor, ...shape.slice(at + 1)];
    return shape.length > 4 ? { data, shape, values } : { data: reshapeData(data, split), shape: split, values };
  },
  double({ data, shape, values }) {
    if (values.length > 4000 || !beginsByte(data, values.length)) return { data, shape, values };
    return {
      data: concatRows([data, data]),
      shape: [2 * shape[0]!, ...shape.slice(1)],
      values: [...values, ...values],
    };
  },
  pad({ data, shape, values }) {
    if (!beginsByte(data, values.length)) return { data, shape, values };
    return {
      data: padRows(data, shape[0]! + 1),
      shape: [shape[0]! + 1, ...shape.slice(1)],
      values: [...values, ...Array<number>(elementCount(shape.slice(1))).fill(0)],
    };
  },
};

/** Whether element `first` begins a byte of the data. */
function beginsByte(data: TensorData, first: number): boolean {
  return (first * dtypes[data.dtype].bits) % 8 === 0;
}

async function expectReads({ data, shape, values }: Pair, choose: (count: number) => number): Promise<void> {
  expect(data.shape).toEqual(shape);
  expect(data.byteLength).toBe(byteLengthOf(data.dtype, values.length));
  const whole = await readBytes(data);
  expect([...(await readTensor(data)).data]).toEqual(values);
  const bits = dtypes[data.dtype].bits;
  const unit = Math.max(1, bits / 8);
  const begin = choose(data.byteLength / unit + 1) * unit;
  const end = begin + choose((data.byteLength - begin) / unit + 1) * unit;
  const maxBytes = 8 + choose(100);
  const owned: Uint8Array[] = [];
  for await (const chunk of data.chunks({ begin, end, maxBytes })) {
    expect(chunk.byteLength).toBeLessThanOrEqual(maxBytes);
    expect(chunk.byteLength % unit).toBe(0);
    owned.push(chunk.slice());
    new Uint8Array(chunk.buffer).fill(0xaa); // the chunk and all of its buffer are ours
  }
  expect(Buffer.concat(owned)).toEqual(Buffer.from(whole.slice(begin, end)));
  expect(await readBytes(data), 'the source was not touched').toEqual(whole);
}

const DTYPES = ['f32', 'f16', 'bf16', 'i8', 'u4', 'i64', 'bool'] as const;

test('any chain of views holds what it should, in any range and chunk size', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...DTYPES),
      fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 4 }),
      fc.array(fc.constantFrom(...Object.keys(STEPS)), { maxLength: 6 }),
      fc.array(fc.nat(), { minLength: 40, maxLength: 40 }),
      async (dtype, shape, steps, numbers) => {
        let at = 0;
        const choose = (count: number) => numbers[at++ % numbers.length]! % count;
        let pair = await pairOf(dtype, shape, numbers[0]!);
        for (const step of steps) pair = STEPS[step]!(pair, choose);
        await expectReads(pair, choose);
      },
    ),
    { numRuns: 400 },
  );
});

describe('transposes that cancel read straight through', () => {
  const source = randomBytes('f32', [6, 40], 1);

  test('back and forth is the same object', () => {
    expect(transposeData(transposeData(source, [1, 0]), [1, 0])).toBe(source);
  });

  test.each<[string, TensorData, readonly number[], (x: TensorData) => TensorData]>([
    ['through a narrowing', source, [6, 40], (x) => transposeData(castData(transposeData(x, [1, 0]), 'f16'), [1, 0])],
    [
      'through a widening',
      randomBytes('bf16', [6, 40], 1),
      [6, 40],
      (x) => transposeData(castData(transposeData(x, [1, 0]), 'f32'), [1, 0]),
    ],
    [
      'through a widening and a narrowing',
      randomBytes('bf16', [6, 40], 1),
      [6, 40],
      (x) => transposeData(castData(castData(transposeData(x, [1, 0]), 'f32'), 'f16'), [1, 0]),
    ],
    [
      'through a reshape',
      randomBytes('f32', [2, 3, 40], 1),
      [6, 40],
      (x) => transposeData(reshapeData(transposeData(x, [2, 0, 1]), [40, 6]), [1, 0]),
    ],
    [
      'of one row of a stack',
      randomBytes('f32', [2, 6, 40], 1),
      [6, 40],
      (x) => transposeData(transposeData(selectRow(x, 1), [1, 0]), [1, 0]),
    ],
  ])('%s', async (_, data, shape, view) => {
    let most = 0;
    const watched: TensorData = {
      ...data,
      chunks(options) {
        most = Math.max(most, (options?.end ?? data.byteLength) - (options?.begin ?? 0));
        return data.chunks(options);
      },
    };
    const result = view(watched);
    expect(result.shape).toEqual(shape);
    for await (const chunk of result.chunks({ end: result.byteLength / 6, maxBytes: 64 }))
      expect(chunk.byteLength).toBeLessThanOrEqual(64);
    expect(most, 'one row is read for one row').toBeLessThanOrEqual(data.byteLength / 6);
  });

  test('a widening that is narrowed again reads the source once, and keeps every bit', async () => {
    const data = randomBytes('bf16', [3, 5], 2);
    expect(castData(castData(data, 'f32'), 'bf16')).toBe(data);
    expect(castData(transposeData(castData(data, 'f32'), [1, 0]), 'bf16').dtype).toBe('bf16');
  });

  test('a narrowing is never dropped', async () => {
    const data = bytesData('f32', [1], new Uint8Array(Float32Array.of(0.1).buffer));
    expect([...(await readTensor(castData(castData(data, 'f16'), 'f32'))).data]).toEqual([0.0999755859375]);
  });
});

test('an einsum layout read back as a matrix moves whole rows', async () => {
  const pair = await pairOf('f16', [3, 5, 64], 7); // (N, D, H)
  const canonical = reshapeData(transposeData(pair.data, [0, 2, 1]), [3 * 64, 5]);
  const back = transposeData(canonical, [1, 0]);
  expect(back.shape).toEqual([5, 3 * 64]);
  expect([...(await readTensor(back)).data]).toEqual(transposed(pair, [1, 0, 2]).values);
});

test('large matrices cross chunks and lanes', async () => {
  const pair = await pairOf('f16', [131, 257], 3);
  await expectReads(transposed(pair, [1, 0]), (count) => Math.floor(count / 3));
});

test('8-byte elements keep every bit pattern', async () => {
  const data = bytesData(
    'i64',
    [2, 2],
    new Uint8Array(BigInt64Array.of(-1n, 0x7ff0000000000001n, -0x10000000000001n, 5n).buffer),
  );
  const bytes = await readBytes(transposeData(data, [1, 0]));
  expect([...new BigInt64Array(bytes.buffer)]).toEqual([-1n, -0x10000000000001n, 0x7ff0000000000001n, 5n]);
});

test('from follows the bytes', () => {
  const data = bytesData('f16', [4, 3, 2], new Uint8Array(48), { file: 'f', key: 'k', byteOffset: 100 });
  expect(selectRow(data, 2).from).toEqual({ file: 'f', key: 'k', byteOffset: 124 });
  expect(castData(transposeData(selectRow(data, 1), [1, 0]), 'f32').from).toEqual({
    file: 'f',
    key: 'k',
    byteOffset: 112,
  });
  expect(sliceRows(castData(data, 'f32'), 1, 2).from).toEqual({ file: 'f', key: 'k', byteOffset: 112 });
});

test('what does not fit is refused', async () => {
  const data = zeroData('f32', [4, 6]);
  expect(() => transposeData(data, [0, 0])).toThrow('[0, 0] is no permutation of 2 axes');
  expect(() => transposeData(zeroData('i4', [4, 6]), [1, 0])).toThrow('i4 elements share bytes');
  expect(() => sliceRows(data, 3, 5)).toThrow('rows 3..5 of 4');
  expect(() => selectRow(data, 4)).toThrow('row 4 of 4');
  expect(() => reshapeData(data, [5, 5])).toThrow('[4, 6] as [5, 5]');
  expect(() => concatRows([data, zeroData('f32', [4, 5])])).toThrow('f32[4, 5] does not extend f32[4, 6]');
  expect(() => concatRows([])).toThrow('nothing to concatenate');
  expect(() => concatRows([zeroData('i4', [3]), zeroData('i4', [3])])).toThrow('ends within a byte');
  await expect(readBytes(data, { begin: 0, end: 97 })).rejects.toThrow('bytes 0..97 of a tensor of 96 bytes');
});
