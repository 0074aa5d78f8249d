import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { hashing, sha256 } from './hash.ts';

const bytes = (length: number, seed: number) => new Uint8Array(length).map((_, i) => (i * seed) >> 3);
const expected = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

async function hashed(
  newHasher: ReturnType<typeof hashing>,
  data: Uint8Array,
  byteLength = data.length,
): Promise<string> {
  const hasher = newHasher(byteLength);
  for (let at = 0; at < data.length; at += 300) hasher.update(data.subarray(at, at + 300));
  return hasher.digest();
}

afterEach(() => vi.restoreAllMocks());

describe.each(['Node', 'a browser'])('in %s', (where) => {
  test('files one after the other, the larger first and last', async () => {
    if (where === 'a browser') vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined);
    const newHasher = hashing();
    for (const [length, seed] of [
      [1000, 7],
      [10, 11],
      [0, 1],
      [5000, 13],
    ] as const)
      expect(await hashed(newHasher, bytes(length, seed))).toBe(expected(bytes(length, seed)));
  });

  test('bytes that are too many or too few are not what was asked for', async () => {
    if (where === 'a browser') vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined);
    const data = bytes(1000, 7);
    expect(await hashed(hashing(), data.subarray(0, 999), 1000)).not.toBe(expected(data));
    expect(await hashed(hashing(), bytes(1301, 7), 1000)).not.toBe(expected(data));
  });
});

test('bytes that are there', async () => {
  expect(await sha256(bytes(77, 3))).toBe(expected(bytes(77, 3)));
});
