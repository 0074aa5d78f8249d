import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bf16BitsFromF32Bits } from './bf16.ts';
import { f16BitsFromF32Bits } from './f16.ts';
import { byteLengthOf, dtypes, isDType, isFloat, type DType } from './index.ts';

/**
 * An IEEE format by its definition, sign · significand · 2^exponent, in arithmetic that shares nothing with the codecs.
 */
interface Format {
  readonly exponentBits: number;
  readonly fractionBits: number;
}
const FORMATS = { f16: { exponentBits: 5, fractionBits: 10 }, bf16: { exponentBits: 8, fractionBits: 7 } } as const;

function valueOf(pattern: number, { exponentBits, fractionBits }: Format): number {
  const bits = pattern.toString(2).padStart(16, '0');
  const exponent = Number.parseInt(bits.slice(1, 1 + exponentBits), 2);
  const fraction = Number.parseInt(bits.slice(1 + exponentBits), 2) / 2 ** fractionBits;
  const bias = 2 ** (exponentBits - 1) - 1;
  const sign = bits[0] === '1' ? -1 : 1;
  if (exponent === 2 ** exponentBits - 1) return fraction === 0 ? sign * Infinity : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias));
}

function f32BitsOf(x: number): number {
  return new Uint32Array(Float32Array.of(x).buffer)[0]!;
}

function encode(dtype: DType, values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(byteLengthOf(dtype, values.length));
  dtypes[dtype].encode(values, 0, values.length, bytes);
  return bytes;
}

function decode(dtype: DType, bytes: Uint8Array, count: number): number[] {
  const out = dtypes[dtype].allocate(count);
  dtypes[dtype].decode(bytes, count, out, 0);
  return [...out];
}

const patterns = Uint16Array.from({ length: 65536 }, (_, i) => i);

describe.each(['f16', 'bf16'] as const)('%s', (dtype) => {
  const format = FORMATS[dtype];
  const expected = Array.from(patterns, (pattern) => valueOf(pattern, format));
  const values = decode(dtype, new Uint8Array(patterns.buffer), 65536);
  const finite = [...new Set(expected.filter((x) => Number.isFinite(x) && x >= 0))].toSorted((a, b) => a - b);
  const toBits = dtype === 'f16' ? f16BitsFromF32Bits : bf16BitsFromF32Bits;

  test('every pattern decodes to its value', () => {
    expect(expected.findIndex((x, i) => !Object.is(x, values[i]))).toBe(-1);
  });

  test('every pattern encodes back to itself; NaN stays NaN', () => {
    const bytes = encode(dtype, values);
    const back = new Uint16Array(bytes.buffer);
    const wrong = patterns.findIndex((pattern, i) =>
      Number.isNaN(values[i]) ? !Number.isNaN(valueOf(back[i]!, format)) : back[i] !== pattern,
    );
    expect(wrong).toBe(-1);
  });

  test('every pattern survives a trip through f32 patterns, NaN payloads kept quiet', () => {
    const wrong = patterns.findIndex((pattern, i) => {
      const back = toBits(f32BitsOf(values[i]!));
      return Number.isNaN(values[i]) ? !Number.isNaN(valueOf(back, format)) : back !== pattern;
    });
    expect(wrong).toBe(-1);
  });

  test('every value rounds to itself', () => {
    expect(expected.findIndex((x) => !Object.is(dtypes[dtype].round(x), x))).toBe(-1);
  });

  test('between all neighbours: ties go to the even one, less or more than half to the nearest', () => {
    const isEven = (x: number) => new Uint16Array(encode(dtype, [x]).buffer)[0]! % 2 === 0;
    const wrong = finite.slice(0, -1).find((low, i) => {
      const high = finite[i + 1]!;
      const middle = low + (high - low) / 2;
      const even = isEven(low) ? low : high;
      const below = middle - (high - low) / 64;
      const above = middle + (high - low) / 64;
      const { round } = dtypes[dtype];
      return (
        round(middle) !== even ||
        round(-middle) !== -even ||
        round(below) !== low ||
        round(above) !== high ||
        round(-above) !== -high
      );
    });
    expect(wrong).toBeUndefined();
  });

  test('bit patterns of f32 round like values', () => {
    const wrong = finite.slice(0, -1).find((low, i) => {
      const step = finite[i + 1]! - low;
      return [low, low + step / 2, low + step * 0.4375, low + step * 0.5625].some((x) => {
        const value = Math.fround(x);
        return (
          valueOf(toBits(f32BitsOf(value)), format) !== dtypes[dtype].round(value) ||
          valueOf(toBits(f32BitsOf(-value)), format) !== dtypes[dtype].round(-value)
        );
      });
    });
    expect(wrong).toBeUndefined();
  });

  test('the largest finite value, and overflow half a step beyond', () => {
    const max = finite.at(-1)!;
    const step = max - finite.at(-2)!;
    expect(dtypes[dtype].max).toBe(max);
    expect(dtypes[dtype].round(max + step * 0.49)).toBe(max);
    expect(dtypes[dtype].round(max + step / 2)).toBe(Infinity);
    expect(dtypes[dtype].round(-1e300)).toBe(-Infinity);
    expect(valueOf(toBits(0x7f7fffff), format)).toBe(dtypes[dtype].round(3.4028234663852886e38));
  });

  test('f64 rounds once: just over a tie goes up, although f32 would first make it the tie', () => {
    const tie = 1 + 2 ** -format.fractionBits / 2;
    const over = tie + 2 ** -40;
    expect(Math.fround(over)).toBe(tie);
    expect(dtypes[dtype].round(tie)).toBe(1);
    expect(dtypes[dtype].round(over)).toBe(1 + 2 ** -format.fractionBits);
    expect(decode(dtype, encode(dtype, [over]), 1)).toEqual([1 + 2 ** -format.fractionBits]);
  });

  test('zeros keep their sign, the smallest f64 vanishes with its sign', () => {
    expect(dtypes[dtype].round(-0)).toBe(-0);
    expect(dtypes[dtype].round(-5e-324)).toBe(-0);
    expect(decode(dtype, encode(dtype, [-0]), 1)).toEqual([-0]);
  });
});

describe.each([
  ['i8', -128, 127],
  ['u8', 0, 255],
  ['i4', -8, 7],
  ['u4', 0, 15],
  ['i32', -(2 ** 31), 2 ** 31 - 1],
  ['i64', Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
] as const)('%s', (dtype, min, max) => {
  test('truncates towards zero, saturates, and NaN is 0', () => {
    const { round } = dtypes[dtype];
    expect([2.9, 0.5, -0.5, Number.NaN, Infinity, -Infinity, 1e300, max, min].map(round)).toEqual([
      2,
      0,
      0,
      0,
      max,
      min,
      max,
      max,
      min,
    ]);
    expect(round(-2.9)).toBe(min < 0 ? -2 : 0);
  });

  test('what is written is rounded so as well', () => {
    const values = [2.9, -0.5, Number.NaN, Infinity, -Infinity, max, min, 1];
    expect(decode(dtype, encode(dtype, values), values.length)).toEqual(values.map(dtypes[dtype].round));
  });

  test('all that fits reads back, in any count and at any offset', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min, max }), { maxLength: 9 }), fc.nat(3), (values, offset) => {
        const bytes = new Uint8Array(byteLengthOf(dtype, values.length) + offset).fill(0xff);
        dtypes[dtype].encode(values, 0, values.length, bytes.subarray(offset));
        expect(decode(dtype, bytes.subarray(offset), values.length)).toEqual(values);
      }),
    );
  });
});

test('4-bit elements: the first in the low nibble, an odd count leaves the last high nibble 0', () => {
  expect([...encode('u4', [1, 15, 7])]).toEqual([0xf1, 0x07]);
  expect([...encode('i4', [-8, 7, -1])]).toEqual([0x78, 0x0f]);
});

test('bool: anything but 0 is 1', () => {
  expect([0, -0, 3, Number.NaN, 0.1].map(dtypes.bool.round)).toEqual([0, 0, 1, 1, 1]);
  expect(decode('bool', Uint8Array.of(0, 1, 255), 3)).toEqual([0, 1, 1]);
});

test('f32 rounds as the hardware does and keeps subnormals', () => {
  expect(decode('f32', encode('f32', [0.1, 2 ** -149, 1e39, -0]), 4)).toEqual([
    Math.fround(0.1),
    2 ** -149,
    Infinity,
    -0,
  ]);
});

test('names and kinds', () => {
  expect(Object.entries(dtypes).every(([name, codec]) => codec.name === name && isDType(name))).toBe(true);
  expect(isDType('toString')).toBe(false);
  expect(Object.keys(dtypes).filter((name) => isFloat(name as DType))).toEqual(['f32', 'f16', 'bf16']);
  expect([byteLengthOf('i4', 3), byteLengthOf('i64', 3), byteLengthOf('u4', 0)]).toEqual([2, 24, 0]);
});
