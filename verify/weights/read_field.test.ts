import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { StoredField } from '../../backends/stored_field.ts';
import { randomSource } from '../../ir/random_source.ts';
import { bitOf, BundleFiles, readPatterns, rowElements } from './read_field.ts';

let dir: string;
const bytes = new Uint8Array(4096);
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'pgconv-fields-'));
  const random = randomSource(3);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Math.floor(256 * random());
  await writeFile(join(dir, 'w.bin'), bytes);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const nibbleAt = (bit: number) => (bytes[Math.floor(bit / 8)]! >> (bit % 8)) & 15;

const rowBits = 4 * 24;
test.each<[string, Pick<StoredField, 'strides' | 'firstBit' | 'highHalf'>]>([
  [
    'rows by turns, the high halves first',
    { strides: [2 * rowBits, 4], firstBit: 8 * 64 + rowBits, highHalf: -rowBits },
  ],
  ['rows by turns, the low halves first', { strides: [2 * rowBits, 4], firstBit: 8 * 64, highHalf: rowBits }],
  ['rows by turns, with a gap', { strides: [3 * rowBits, 4], firstBit: 8 * 64, highHalf: 2 * rowBits }],
  ['all high halves behind all low ones', { strides: [rowBits, 4], firstBit: 0, highHalf: 10 * rowBits }],
  ['elements by turns', { strides: [2 * rowBits, 8], firstBit: 0, highHalf: 4 }],
  ['rows that begin within a byte', { strides: [2 * rowBits, 4], firstBit: 4, highHalf: rowBits }],
])('bytes in two halves, %s, are what stands at their places', (_, place) => {
  const field: StoredField = {
    graph: 'decoder',
    file: 'w.bin',
    tensor: 'w',
    dtype: 'u4',
    shape: [10, 24],
    claim: { by: 'weight', names: ['w'] },
    ...place,
  };
  const files = new BundleFiles(dir);
  try {
    const got = readPatterns(files, field, 2, 7);
    const want = Array.from({ length: 7 * rowElements(field) }, (__, at) => {
      const bit = bitOf(field, 2 + Math.floor(at / 24), at % 24);
      return nibbleAt(bit) | (nibbleAt(bit + place.highHalf!) << 4);
    });
    expect([...got]).toEqual(want);
  } finally {
    files.close();
  }
});
