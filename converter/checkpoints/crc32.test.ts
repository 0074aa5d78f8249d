import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { combineCrc32, CrcCoverage } from './crc32.ts';

test('combineCrc32 gives the CRC of the concatenation', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.uint8Array({ maxLength: 300 }), (a, b) => {
      expect(combineCrc32(crc32(a), crc32(b), b.byteLength)).toBe(crc32(Buffer.concat([a, b])));
    }),
  );
});

test('lengths beyond 2^32 combine', () => {
  // 2^33 + 3 zeros by doubling, against the same count built as 3 + 2^33.
  let crc = crc32(new Uint8Array(1));
  let length = 1;
  while (length < 2 ** 33) {
    crc = combineCrc32(crc, crc, length);
    length *= 2;
  }
  const three = crc32(new Uint8Array(3));
  expect(combineCrc32(crc, three, 3)).toBe(combineCrc32(three, crc, length));
});

test('coverage in any order, with overlaps and repeats, ends at the CRC of the whole', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100 }),
      fc.array(fc.tuple(fc.nat(100), fc.nat(100)), { maxLength: 20 }),
      (bytes, ranges) => {
        const coverage = new CrcCoverage(bytes.byteLength);
        const seen = new Uint8Array(bytes.byteLength);
        for (const [x, y] of ranges) {
          const begin = Math.min(x, bytes.byteLength);
          const end = Math.min(Math.max(begin, y), bytes.byteLength);
          coverage.add(begin, bytes.subarray(begin, end));
          seen.fill(1, begin, end);
          const missing = new Uint8Array(bytes.byteLength).fill(1);
          for (const gap of coverage.missing()) missing.fill(0, gap.begin, gap.end);
          expect(missing).toEqual(seen);
          expect(coverage.crc === undefined).toBe(seen.includes(0));
        }
        for (const gap of coverage.missing()) coverage.add(gap.begin, bytes.subarray(gap.begin, gap.end));
        expect(coverage.crc).toBe(crc32(bytes));
      },
    ),
    { numRuns: 500 },
  );
});
