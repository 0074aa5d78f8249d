import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSource } from '../../client/sources/open_source.ts';
import { PLAN_PATH } from '../plan.ts';
import type { PlacedWeight } from './bundle.ts';
import { weightChunks } from './weight_stream.ts';

const CONTENT = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgconv-weights-'));
  writeFileSync(join(folder, 'w.bin'), CONTENT);
});
afterAll(() => rmSync(folder, { recursive: true }));

const weight = (byteLength: number, file = 'w.bin', offset = 0): PlacedWeight =>
  ({ spec: { name: `w${offset}`, shape: [byteLength], dtype: 'uint8' }, file, offset, byteLength }) as never;

async function read(...weights: readonly PlacedWeight[]): Promise<readonly Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of weightChunks(openSource(folder, PLAN_PATH), weights)) chunks.push(chunk);
  return chunks;
}

describe('weights of a file', () => {
  it('come one by one, also those of no bytes', async () => {
    expect(await read(weight(300), weight(0, 'w.bin', 300), weight(700, 'w.bin', 300))).toEqual([
      CONTENT.slice(0, 300),
      new Uint8Array(),
      CONTENT.slice(300),
    ]);
  });

  it.each<[string, PlacedWeight, string, RegExp]>([
    ['shorter than they are said to be', weight(2 ** 50), 'damaged', /ends after 1000 bytes/],
    ['longer', weight(999), 'damaged', /it is longer/],
    ['missing', weight(10, 'none.bin'), 'not_found', /none\.bin/],
    ['elsewhere', weight(10, '../w.bin'), 'damaged', /the path leads out of the bundle/],
  ])('%s: an error, and no room is made for what is not there', async (_, placed, code, message) => {
    const before = process.memoryUsage().rss;
    await expect(read(placed)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });
});
