import { tmpdir } from 'node:os';
import { describe, expect, it } from 'vitest';
import { mutated } from './mutate.ts';
import { READERS, scratchFolder, type Reader } from './readers.ts';
import { caseOf, fuzz, seedsOf } from './run_fuzz.ts';

/* `npm run fuzz` goes on for longer, in a thread that is ended where a case hangs. */

const ROOT = '.';
const MILLISECONDS = Number(process.env['PGCONV_FUZZ_MS'] ?? 250);

describe('changed files', () => {
  it.each(READERS.map((reader) => [reader.name, reader] as const))('%s: typed errors only', async (_, reader) => {
    const report = await fuzz(reader, ROOT, { from: 1, milliseconds: MILLISECONDS });
    if (MILLISECONDS > 1000)
      console.log(
        report.reader,
        report.cases,
        report.taken,
        report.slowestSeconds.toFixed(2),
        report.problems.length,
        JSON.stringify([...report.refused]),
      );
    expect(report.problems.slice(0, 3)).toEqual([]);
    expect(report.cases).toBeGreaterThan(0);
  });

  it.each(READERS.map((reader) => [reader.name, reader] as const))('%s: seeds are sound', async (_, reader) => {
    const { dir, remove } = scratchFolder(tmpdir());
    try {
      for (const seed of seedsOf(reader, ROOT)) await reader.read(reader.mend?.(seed, seed) ?? seed, dir);
      expect(seedsOf(reader, ROOT).length).toBeGreaterThan(0);
    } finally {
      remove();
    }
  });

  it('are the same for the same number', () => {
    const seeds = [Buffer.from('{"a": 1}'), Buffer.from('[2]')];
    expect(Array.from({ length: 50 }, (_, i) => mutated(seeds, i))).toEqual(
      Array.from({ length: 50 }, (_, i) => mutated(seeds, i)),
    );
    expect(
      new Set(Array.from({ length: 50 }, (_, i) => Buffer.from(mutated(seeds, i)).toString('latin1'))).size,
    ).toBeGreaterThan(30);
  });
});

describe('the fuzzer', () => {
  const reader = (read: Reader['read']): Reader => ({ ...READERS.find(({ name }) => name === 'sidecar')!, read });

  it('tells an error without a type, and the number by which it comes again', async () => {
    const bad = reader(async (bytes) => {
      if (bytes.length > 70) throw new TypeError('undefined is not a function');
    });
    const { problems } = await fuzz(bad, ROOT, { from: 1, milliseconds: 100 });
    expect(problems[0]).toMatchObject({ reader: 'sidecar', what: expect.stringContaining('TypeError') as string });
    expect(caseOf(bad, seedsOf(bad, ROOT), problems[0]!.number).length).toBeGreaterThan(70);
  });
});
