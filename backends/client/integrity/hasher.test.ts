import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { newHasher, sha256Of } from './hasher.ts';

const bytes = (length: number, seed: number) => new Uint8Array(length).map((_, i) => (i * seed) >> 3);
const expected = (data: Uint8Array) => createHash('sha256').update(data).digest('hex');

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

const PLACES: readonly (readonly [string, () => void])[] = [
  ['Node', () => {}],
  ['a browser', () => void vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined)],
  [
    'a page that is not served by https',
    () => {
      vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined);
      vi.stubGlobal('crypto', {});
    },
  ],
];

describe.each(PLACES)('in %s', (_, go) => {
  test('what comes in pieces, of several files at a time', async () => {
    go();
    const files = [bytes(1000, 7), bytes(10, 11), bytes(0, 1), bytes(5000, 13)];
    const hashers = await Promise.all(files.map(() => newHasher()));
    for (let at = 0; at < 5000; at += 300) files.forEach((data, i) => hashers[i]!.update(data.subarray(at, at + 300)));
    expect(hashers.map((hasher) => hasher.digest())).toEqual(files.map(expected));
  });

  test('what is there', async () => {
    go();
    expect(await sha256Of(bytes(77, 3))).toBe(expected(bytes(77, 3)));
    expect(await sha256Of(bytes(77, 3).subarray(5, 70))).toBe(expected(bytes(77, 3).subarray(5, 70)));
  });
});

test('a page that may not compile WebAssembly is told the way out', async () => {
  vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined);
  vi.doMock('hash-wasm', () => ({ createSHA256: () => Promise.reject(new Error('unsafe-eval')) }));
  await expect(newHasher()).rejects.toMatchObject({
    code: 'missing_feature',
    hint: expect.stringContaining('integrity: false') as string,
  });
  vi.doUnmock('hash-wasm');
});
