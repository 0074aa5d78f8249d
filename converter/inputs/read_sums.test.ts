import fc from 'fast-check';
import { crc32 } from 'node:zlib';
import { expect, test } from 'vitest';
import { BLOCK_BYTES, ReadSums } from './read_sums.ts';

/** Bytes that are the same for every run. */
function bytesOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => (i * 2_654_435_761) >>> 13);
}

function hashOf(bytes: Uint8Array): Uint32Array {
  const sums: number[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) sums.push(crc32(bytes.subarray(at, at + BLOCK_BYTES)));
  return Uint32Array.from(sums);
}

const readOf = (bytes: Uint8Array) => async (begin: number, end: number) => bytes.slice(begin, end);

const LENGTH = 3 * BLOCK_BYTES + 1234;
const content = bytesOf(LENGTH);
/** Ranges as readers ask for them: large and small, in a row and anywhere. */
const ranges = fc.array(
  fc.oneof(
    fc.tuple(fc.nat(LENGTH), fc.nat(LENGTH)),
    fc.tuple(fc.nat(LENGTH - 200), fc.nat(199)).map(([begin, length]) => [begin, begin + length] as const),
    fc.nat(3).map((block) => [block * BLOCK_BYTES, Math.min(LENGTH, (block + 1) * BLOCK_BYTES)] as const),
  ),
  { minLength: 1, maxLength: 12 },
);
const sorted = ([a, b]: readonly [number, number]) => (a < b ? ([a, b] as const) : ([b, a] as const));

test('what was read is what the file holds, whatever was read and in whatever order', () =>
  fc.assert(
    fc.asyncProperty(ranges, fc.boolean(), async (asked, isHashed) => {
      const sums = new ReadSums(LENGTH);
      for (const [begin, end] of asked.map(sorted))
        expect(sums.add(begin, content.subarray(begin, end))).toBeUndefined();
      expect(await sums.firstDifference(readOf(content), isHashed ? hashOf(content) : undefined)).toBeUndefined();
    }),
    { numRuns: 60 },
  ));

test('a byte that was read as another is found: by a later read, by the hash, or by reading again', () =>
  fc.assert(
    fc.asyncProperty(ranges, fc.nat(), fc.nat(), fc.boolean(), async (asked, which, where, isHashed) => {
      const sums = new ReadSums(LENGTH);
      const taken = asked.map(sorted).filter(([begin, end]) => end > begin);
      fc.pre(taken.length > 0);
      const torn = which % taken.length;
      const [first, last] = taken[torn]!;
      const at = first + (where % (last - first));
      let found = false;
      for (const [number, [begin, end]] of taken.entries()) {
        const bytes = content.slice(begin, end);
        if (number === torn) bytes[at - begin]! ^= 4;
        found ||= sums.add(begin, bytes) !== undefined;
      }
      if (found) return;
      const difference = await sums.firstDifference(readOf(content), isHashed ? hashOf(content) : undefined);
      expect(difference).toBeDefined();
      expect(Math.floor(difference!.offset / BLOCK_BYTES)).toBe(Math.floor(at / BLOCK_BYTES));
    }),
    { numRuns: 120 },
  ));

test('a file that was hashed as something else is found, also where the bytes read are back', async () => {
  const sums = new ReadSums(LENGTH);
  sums.add(0, content);
  const other = content.slice();
  other[BLOCK_BYTES + 7]! ^= 1;
  expect(await sums.firstDifference(readOf(content), hashOf(other))).toEqual({ offset: BLOCK_BYTES });
});

test('with a hash only blocks that were not read whole are read again', async () => {
  const sums = new ReadSums(LENGTH);
  sums.add(100, content.subarray(100, 2 * BLOCK_BYTES));
  const again: number[][] = [];
  const read = async (begin: number, end: number) => (again.push([begin, end]), content.slice(begin, end));
  await sums.firstDifference(read, hashOf(content));
  expect(again).toEqual([[0, BLOCK_BYTES]]);
});

test('rows that follow each other become one piece, and a place far away in a huge file takes little', async () => {
  const sums = new ReadSums(2 ** 50);
  const row = bytesOf(1000);
  for (let i = 0; i < 5000; i++) sums.add(2 ** 49 + 1000 * i, row);
  let bytes = 0;
  const read = async (begin: number, end: number) => {
    bytes += end - begin;
    return Uint8Array.from({ length: end - begin }, (_, i) => row[(begin + i - 2 ** 49) % 1000]!);
  };
  expect(await sums.firstDifference(read)).toBeUndefined();
  expect(bytes).toBe(Math.ceil(5_000_000 / BLOCK_BYTES) * BLOCK_BYTES);
});
