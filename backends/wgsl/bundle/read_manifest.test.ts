import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { FORMAT_VERSION, MANIFEST_PATH, type WgslManifest } from './manifest.ts';
import { ManifestError } from './manifest_error.ts';
import { readManifest } from './read_manifest.ts';
import { manifestBytes } from './write_manifest.ts';
import { writtenFiles } from './testing/contents.ts';

describe('a manifest', () => {
  let good: Uint8Array;
  let same: WgslManifest;
  beforeAll(async () => {
    good = (await writtenFiles()).get(MANIFEST_PATH)!;
    same = await readManifest(good);
  });

  /** Where the contents lie, which are behind the hash, and the hash itself. */
  function places(): { readonly start: number; readonly hash: number } {
    for (let start = 0; start < good.byteLength; start += 4) {
      const hash = Buffer.from(good).indexOf(createHash('sha256').update(good.subarray(start)).digest());
      if (hash >= 0) return { start, hash };
    }
    throw new Error('contents are not the last of the file');
  }

  const flips = (first: number) =>
    fc.array(fc.tuple(fc.integer({ min: first, max: good.byteLength - 1 }), fc.integer({ min: 1, max: 255 })), {
      minLength: 1,
      maxLength: 8,
    });

  it('of a later version says which one this runtime reads, and what to do', async () => {
    const later = good.slice();
    const view = new DataView(later.buffer);
    const root = view.getUint32(0, true);
    const field = view.getUint16(root - view.getInt32(root, true) + 4, true);
    view.setUint32(root + field, FORMAT_VERSION + 1, true);
    await expect(readManifest(later)).rejects.toMatchObject({
      code: 'newer',
      message: expect.stringMatching(
        new RegExp(`version ${FORMAT_VERSION + 1}.*up to ${FORMAT_VERSION}.*update`),
      ) as unknown,
    });
  });

  it('of another kind of file is none', async () => {
    const other = good.slice();
    other[4]! ^= 1;
    await expect(readManifest(other)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('no manifest of a WGSL bundle') as unknown,
    });
  });

  it('that is cut short anywhere is an error', async () => {
    for (let length = 0; length < good.byteLength; length += 1 + Math.floor(length / 40))
      await expect(readManifest(good.slice(0, length)), String(length)).rejects.toBeInstanceOf(ManifestError);
  });

  it('with any bytes changed is an error or the same manifest', async () => {
    await fc.assert(
      fc.asyncProperty(flips(0), async (changes) => {
        const bytes = good.slice();
        for (const [at, by] of changes) bytes[at]! ^= by;
        const result = await readManifest(bytes).catch((error: unknown) => error);
        if (!(result instanceof ManifestError)) expect(result).toEqual(same);
      }),
      { numRuns: 400 },
    );
  });

  it('with any bytes changed and its hash made right is an error or a plan that holds together', async () => {
    const { start, hash } = places();
    const seen = { error: 0, plan: 0 };
    await fc.assert(
      fc.asyncProperty(flips(start), async (changes) => {
        const bytes = good.slice();
        for (const [at, by] of changes) bytes[at]! ^= by;
        bytes.set(createHash('sha256').update(bytes.subarray(start)).digest(), hash);
        const result = await readManifest(bytes).catch((error: unknown) => error);
        if (result instanceof Error) expect(result).toBeInstanceOf(ManifestError);
        seen[result instanceof Error ? 'error' : 'plan']++;
      }),
      { numRuns: 800 },
    );
    expect(Math.min(seen.error, seen.plan)).toBeGreaterThan(0);
  });

  it('of few bytes that claim to be many elements is an error at once', async () => {
    const { start, hash } = places();
    let refused = 0;
    // every aligned place may be the length of a list
    for (let at = start; at < good.byteLength; at += 4) {
      const bytes = good.slice();
      new DataView(bytes.buffer).setUint32(at, 0x7fffffff, true);
      bytes.set(createHash('sha256').update(bytes.subarray(start)).digest(), hash);
      const result = await readManifest(bytes).catch((error: unknown) => error);
      if (result instanceof Error) expect(result).toBeInstanceOf(ManifestError);
      if (result instanceof Error && result.message.includes('more elements')) refused++;
    }
    expect(refused).toBeGreaterThan(5);
  });

  it('whose lists share their elements is an error at once when they are too many together', async () => {
    const bytes = await manifestBytes({
      ...same,
      plan: { ...same.plan, symbols: Array.from({ length: 4000 }, () => 'x'.repeat(2000)) },
    });
    expect(bytes.byteLength).toBeLessThan(32 * 1024);
    await expect(readManifest(bytes)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining('more elements') as unknown,
    });
  });
});
