import { createHash } from 'node:crypto';
import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import type { ArtifactFile } from '../../backends/backend.ts';
import { publishTo, tempFolders, testFields } from '../testing/bundle.ts';
import type { PublishListener, PublishOptions } from './publish.ts';
import { flushedBytes } from './staging.ts';

const tempFolder = tempFolders();

/** A megabyte of the real thing. */
const UNIT = 2 ** 14;
const CHUNK = 4 * UNIT;
/** Flushes of real runs are of 48 units, and 256 MB is what they may write again. */
const FLUSH = 48 * UNIT;
const REDONE = (256e6 / 2 ** 20) * UNIT;

/** A flush is said when the disk has it, which can be seconds where others write as well. */
const SLOW_DISK = { timeout: 60_000 };

const resume = {
  command: createHash('sha256').update('a command').digest('hex'),
  sources: createHash('sha256').update('a checkpoint').digest('hex'),
};

/** A file whose chunks differ; `onChunk` hears of each before it is made. */
function chunkedFile(path: string, byteLength: number, onChunk: (bytes: number) => Promise<void>): ArtifactFile {
  return {
    path,
    byteLength,
    async *chunks({ from = 0 } = {}) {
      for (let at = from; at < byteLength; at += CHUNK) {
        const bytes = new Uint8Array(Math.min(CHUNK - (at % CHUNK), byteLength - at)).fill(at / CHUNK + path.length);
        await onChunk(bytes.byteLength);
        yield { bytes };
        at -= at % CHUNK;
      }
    },
  };
}

const SIZES = { 'a.bin': 150 * UNIT, 'onnx/b.bin': 130 * UNIT + 5, 'c.json': 100 };
const TOTAL = Object.values(SIZES).reduce((a, b) => a + b);

/** Bytes that the journal tells of. */
async function staged(dir: string): Promise<number> {
  const name = (await readdir(dir)).find((entry) => entry.includes('pgconv-new'));
  return name === undefined ? 0 : flushedBytes(join(dir, name));
}

interface Run extends Partial<Pick<PublishOptions, 'manifest' | 'anew'>> {
  readonly stopAfter?: number;
  /** Bytes that are to be in the journal, beyond those of earlier runs, before the stop. */
  readonly flushed?: number;
  readonly error?: Error;
  readonly resume?: PublishOptions['resume'] | undefined;
}

/** Publishes; ends after so many bytes were made, as Ctrl-C or a full disk do. */
async function run(dir: string, { stopAfter = Infinity, flushed = 1, error, ...more }: Run = {}) {
  const { resume: known, ...others } = { resume, ...more };
  const abort = new AbortController();
  let made = 0;
  const before = await staged(dir);
  const told: Record<string, unknown[]> = {};
  const on: PublishListener = {
    resumed: (bytes) => (told['resumed'] = [bytes]),
    leftover: (why, bytes) => (told['leftover'] = [why, bytes]),
    damaged: (path, bytes) => (told['damaged'] = [path, bytes]),
    unfinished: (_, bytes) => (told['unfinished'] = [bytes]),
  };
  const onChunk = async (bytes: number) => {
    made += bytes;
    if (made <= stopAfter) return;
    if (error) throw error;
    const least = (more.anew ? 0 : before) + flushed;
    if (known) await vi.waitFor(async () => expect(await staged(dir)).toBeGreaterThanOrEqual(least), SLOW_DISK);
    abort.abort();
  };
  const result = await publishTo(join(dir, 'out'), {
    artifactFiles: Object.entries(SIZES).map(([path, size]) => chunkedFile(path, size, onChunk)),
    manifest: () => testFields,
    signal: abort.signal,
    ...(known && { resume: known }),
    on,
    flushBytes: FLUSH,
    ...others,
  }).then(
    ({ manifest }) => manifest,
    (failure: unknown) => failure as Error,
  );
  return { result, made, told };
}

const left = async (dir: string) => (await readdir(dir)).map((name) => name.replace(/new-.*/, 'new'));

test(
  'a run that was stopped is gone on with, and its bytes are those of one that was not',
  { timeout: 120_000 },
  async () => {
    const dir = await tempFolder();
    const whole = await run(await tempFolder());
    const first = await run(dir, { stopAfter: 110 * UNIT });
    expect(first.result).toMatchObject({ code: 'interrupted' });
    expect(await left(dir)).toEqual(['.out.pgconv-new']);
    const second = await run(dir, { stopAfter: 150 * UNIT });
    expect(second.result).toMatchObject({ code: 'interrupted' });
    const third = await run(dir);
    expect(third.result).toEqual(whole.result);
    expect(await left(dir)).toEqual(['out']);
    expect(first.told['unfinished']![0]).toBeGreaterThanOrEqual(FLUSH);
    expect(second.told['resumed']).toEqual(first.told['unfinished']);
    expect(third.told['resumed']).toEqual(second.told['unfinished']);
    // two stops
    expect(first.made + second.made + third.made - TOTAL).toBeLessThan(2 * REDONE);
    expect(third.made).toBeLessThan(TOTAL);
  },
);

test('what was damaged after it was written is written again', { timeout: 120_000 }, async () => {
  const dir = await tempFolder();
  await run(dir, { stopAfter: 240 * UNIT, flushed: 2 * FLUSH });
  const staging = join(dir, (await readdir(dir))[0]!);
  const file = join(staging, 'bundle', 'a.bin');
  const bytes = await readFile(file);
  bytes[10 * UNIT]! ^= 1;
  await writeFile(file, bytes);
  // a line that was cut off while it was written
  const journal = join(staging, 'journal');
  await truncate(journal, (await readFile(journal)).byteLength - 3);
  const whole = await run(await tempFolder());
  const { result, told } = await run(dir);
  expect(result).toEqual(whole.result);
  expect(told['damaged']).toEqual([expect.any(String), expect.any(Number)]);
  expect(told['damaged']![1]).toBeGreaterThan(0);
});

test.each([
  ['another command', { resume: { ...resume, command: 'c'.repeat(64) } }, 'it is of another command'],
  [
    'another input',
    { resume: { ...resume, sources: 'd'.repeat(64) } },
    'the checkpoint, or a file beside it, changed since',
  ],
])('%s begins anew, and says so', async (_, more, why) => {
  const dir = await tempFolder();
  await run(dir, { stopAfter: 230 * UNIT });
  const { made, told, result } = await run(dir, more);
  expect(result).not.toBeInstanceOf(Error);
  expect(made).toBe(TOTAL);
  expect(told).toEqual({ leftover: [why, expect.any(Number)] });
  expect(told['leftover']![1]).toBeGreaterThan(0);
  expect(await left(dir)).toEqual(['out']);
});

test('a run that is to begin anew does, and can be gone on with itself', async () => {
  const dir = await tempFolder();
  await run(dir, { stopAfter: 230 * UNIT });
  const anew = await run(dir, { stopAfter: 230 * UNIT, anew: true });
  expect(anew.told['resumed']).toBeUndefined();
  expect(anew.told['leftover']).toEqual(['this run begins anew', expect.any(Number)]);
  const last = await run(dir);
  expect(last.told['resumed']).toEqual(anew.told['unfinished']);
  expect(last.made).toBeLessThan(TOTAL);
});

test('a failure that would come again leaves nothing', async () => {
  const dir = await tempFolder();
  const { told } = await run(dir, { stopAfter: 230 * UNIT, error: new Error('no such op') });
  expect(told).toEqual({});
  expect(await readdir(dir)).toEqual([]);
});

test('a run without a name for what it writes leaves nothing when it is stopped', async () => {
  const dir = await tempFolder();
  await run(dir, { stopAfter: 230 * UNIT, resume: undefined });
  expect(await readdir(dir)).toEqual([]);
});

test('a run whose lock was taken stops, and removes nothing', async () => {
  const dir = await tempFolder();
  const lock = join(dir, '.out.pgconv-lock');
  const { result } = await run(dir, {
    manifest: async () => {
      await rm(lock);
      await writeFile(lock, 'of another run');
      return testFields;
    },
  });
  expect(result).toMatchObject({ code: 'locked', exitCode: 4 });
  expect(await left(dir)).toEqual(['.out.pgconv-lock', '.out.pgconv-new']);
});
