import { expect, test } from 'vitest';
import { f16, f16FromBits } from '../../dtypes/f16.ts';
import { randomSource } from '../../random_source.ts';
import { halfBits, halfValue, roundScale, roundToEven, roundToHalf } from './rounding.js';
import { widen } from './widen.js';

test('every finite binary16 is itself, by value and by bits', () => {
  const wrong: number[] = [];
  for (let bits = 0; bits < 65536; bits++) {
    if ((bits & 0x7c00) === 0x7c00) continue;
    const value = f16FromBits(bits);
    if (!Object.is(halfValue(bits), value) || !Object.is(roundToHalf(value), value) || halfBits(value) !== bits)
      wrong.push(bits);
  }
  expect(wrong).toEqual([]);
});

test('between them the nearest, ties to even, as the codec rounds; beyond them 65504', () => {
  const wrong: number[] = [];
  const next = randomSource(1);
  const tie = (bits: number) => (f16FromBits(bits) + f16FromBits(bits + 1)) / 2;
  const values = [
    ...Array.from({ length: 31743 }, (_, bits) => tie(bits)),
    ...Array.from({ length: 20000 }, () => (next() - 0.5) * 2 ** (48 * next() - 32)),
  ];
  for (const value of values) {
    const x = Math.fround(value);
    if (!Object.is(roundToHalf(x), f16.round(x))) wrong.push(x);
  }
  expect(wrong).toEqual([]);
  expect([65519, 65520, 1e30, -1e30].map(roundToHalf)).toEqual([65504, 65504, 65504, -65504]);
  expect([0, 1e-9, 2 ** -24].map(roundScale)).toEqual([2 ** -24, 2 ** -24, 2 ** -24]);
});

test('integers: ties to even', () => {
  expect([0.5, 1.5, 2.5, -0.5, -1.5, 7.499999, 254.5].map(roundToEven)).toEqual([0, 2, 2, 0, -2, 7, 254]);
});

test('f16 patterns as binary32, NaN and infinities included', () => {
  const patterns = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
  const out = new Float32Array(65536);
  widen(new Uint8Array(patterns.buffer), 'f16', 0, out);
  expect([...patterns].filter((bits) => !Object.is(out[bits], f16FromBits(bits)))).toEqual([]);
});
