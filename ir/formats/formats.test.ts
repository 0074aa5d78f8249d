import { describe, expect, test } from 'vitest';
import { byteLengthOf, dtypes } from '../dtypes/index.ts';
import { codesShape, FORMAT_NAMES, formats, isFormatName, middleOf, signBits } from './index.ts';

describe.each(FORMAT_NAMES)('%s', (name) => {
  const { bits, codes, codebook, blocks, symmetric, ...format } = formats[name];

  test('goes by its own name, and its codes have its bits', () => {
    expect(format.name).toBe(name);
    expect(format.doc).toMatch(/\.$/);
    expect(codes.map((dtype) => dtypes[dtype].bits)).toEqual(codes.map(() => bits));
    expect((blocks.size * bits) % 8).toBe(0);
  });

  test('a codebook ascends through 0 to a largest magnitude of 1, and needs no zero points', () => {
    if (!codebook) return;
    expect(codebook).toHaveLength(2 ** bits);
    expect(codebook).toEqual([...codebook].sort((a, b) => a - b));
    expect(codebook).toContain(0);
    expect(Math.max(...codebook.map(Math.abs))).toBe(1);
    expect(symmetric).toBe(true);
    expect(codes.every((dtype) => signBits(dtype) === 0)).toBe(true);
  });
});

test('names of Object are no formats', () => {
  expect(['constructor', 'toString', 'int2'].filter(isFormatName)).toEqual([]);
});

test.each([
  ['u4', 8, 0],
  ['i4', 0, 0x88],
  ['u8', 128, 0],
  ['i8', 0, 0x80],
] as const)('%s counts from %d without zero points; its sign bits', (dtype, middle, bits) => {
  expect([middleOf(dtype), signBits(dtype)]).toEqual([middle, bits]);
  if (bits === 0) return;
  // every code, in the order of what it means, is one more than the one before when its sign bits are flipped
  const { min, max } = { min: -dtypes[dtype].max - 1, max: dtypes[dtype].max };
  const values = Array.from({ length: max - min + 1 }, (_, i) => min + i);
  const bytes = new Uint8Array(byteLengthOf(dtype, values.length));
  dtypes[dtype].encode(values, 0, values.length, bytes);
  const unsigned = dtype === 'i4' ? 'u4' : 'u8';
  const found = new Int32Array(values.length);
  dtypes[unsigned].decode(
    bytes.map((byte) => byte ^ bits),
    values.length,
    found,
    0,
  );
  expect([...found]).toEqual(values.map((_, i) => i));
});

test('blocks fill rows up, or run on across their ends', () => {
  expect(codesShape({ size: 64, over: 'row' }, 3, 130)).toEqual([3, 3, 64]);
  expect(codesShape({ size: 64, over: 'matrix' }, 3, 130)).toEqual([7, 64]);
});
