import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ArtifactFile } from '../../backends/backend.ts';
import { patternFile, publishTo, tempFolders, testFields } from '../testing/bundle.ts';
import { checkBundle } from './check_bundle.ts';
import type { PublishOptions } from './publish.ts';

const tempFolder = tempFolders();
const manifest = () => testFields;

interface Published extends Partial<Omit<PublishOptions, 'claim'>> {
  readonly force?: boolean;
  readonly outDir?: string;
}

async function publishIn(dir: string, { outDir = join(dir, 'out'), ...options }: Published = {}) {
  return publishTo(outDir, {
    artifactFiles: [patternFile('a.bin', 200_000), patternFile('onnx/b.bin', 70_000, 2), patternFile('empty', 0)],
    manifest,
    ...options,
  });
}

function textFile(path: string, text: string, byteLength = Buffer.byteLength(text)): ArtifactFile {
  return {
    path,
    byteLength,
    async *chunks() {
      yield { bytes: new TextEncoder().encode(text) };
    },
  };
}

describe('a bundle that is published', () => {
  test('has its files, their hashes, and nothing beside it', async () => {
    const dir = await tempFolder();
    const progress: number[] = [];
    const { dir: out, manifest: made } = await publishIn(dir, {
      on: { progress: (written, total) => progress.push(written / total) },
    });
    expect(await readdir(dir)).toEqual(['out']);
    expect((await readdir(out, { recursive: true })).sort()).toEqual([
      'a.bin',
      'empty',
      'manifest.json',
      'onnx',
      'onnx/b.bin',
    ]);
    for (const { path, bytes, sha256 } of made.files) {
      const content = await readFile(join(out, path));
      expect(content.byteLength).toBe(bytes);
      expect(createHash('sha256').update(content).digest('hex')).toBe(sha256);
    }
    expect(progress.at(-1)).toBe(1);
    expect(progress).toEqual([...progress].sort((a, b) => a - b));
    expect((await checkBundle(out)).unlisted).toEqual([]);
  });

  test('has the same bytes each time, whatever the order of the files and the size of the chunks', async () => {
    const dir = await tempFolder();
    await publishIn(dir, {
      outDir: join(dir, 'one'),
      artifactFiles: [patternFile('a', 100_000, 1, 1000), patternFile('b', 10, 2)],
    });
    await publishIn(dir, {
      outDir: join(dir, 'two'),
      artifactFiles: [patternFile('b', 10, 2), patternFile('a', 100_000, 1, 77_777)],
    });
    for (const name of ['a', 'b', 'manifest.json'])
      expect(await readFile(join(dir, 'one', name))).toEqual(await readFile(join(dir, 'two', name)));
  });

  test('copies chunks that are views of something larger, and keeps what belongs to others', async () => {
    const dir = await tempFolder();
    const shared = new Uint8Array(30).map((_, i) => i);
    const file: ArtifactFile = {
      path: 'views',
      byteLength: 30,
      async *chunks() {
        for (let at = 0; at < 30; at += 10) yield { bytes: shared.subarray(at, at + 10) };
      },
    };
    const { dir: out } = await publishIn(dir, { artifactFiles: [file] });
    expect(new Uint8Array(await readFile(join(out, 'views')))).toEqual(shared);
  });
});

describe('an output that is not free', () => {
  test('is refused without force, and left as it is', async () => {
    const dir = await tempFolder();
    await publishIn(dir);
    await expect(publishIn(dir)).rejects.toMatchObject({
      code: 'exists',
      exitCode: 4,
      place: { file: join(dir, 'out') },
    });
    await expect(publishIn(dir, { artifactFiles: [textFile('x', 'new')], force: true })).resolves.toBeDefined();
    expect(await readdir(join(dir, 'out'))).toEqual(['manifest.json', 'x']);
    expect(await readdir(dir)).toEqual(['out']);
  });

  test('is replaced only when it is a bundle or empty', async () => {
    const dir = await tempFolder();
    const out = join(dir, 'out');
    await mkdir(out);
    await writeFile(join(out, 'thesis.txt'), 'ten years of work');
    await expect(publishIn(dir, { force: true })).rejects.toMatchObject({ code: 'not_a_bundle', exitCode: 4 });
    await writeFile(join(out, 'manifest.json'), '{"name": "a web app"}');
    await expect(publishIn(dir, { force: true })).rejects.toMatchObject({ code: 'not_a_bundle' });
    expect(await readFile(join(out, 'thesis.txt'), 'utf8')).toBe('ten years of work');
    await expect(publishIn(dir, { outDir: join(out, 'thesis.txt'), force: true })).rejects.toMatchObject({
      code: 'not_a_bundle',
    });
    await mkdir(join(dir, 'empty'));
    await expect(publishIn(dir, { outDir: join(dir, 'empty'), force: true })).resolves.toBeDefined();
  });

  test('is replaced when it is a damaged bundle', async () => {
    const dir = await tempFolder();
    const { dir: out } = await publishIn(dir);
    await writeFile(
      join(out, 'manifest.json'),
      (await readFile(join(out, 'manifest.json'), 'utf8')).replace('a note', 'b note'),
    );
    await publishIn(dir, { force: true });
    await checkBundle(out);
  });

  test('keeps the files in its folder that are not its own, and tells them', async () => {
    const dir = await tempFolder();
    const { dir: out } = await publishIn(dir);
    await mkdir(join(out, 'notes'));
    await writeFile(join(out, 'notes', 'thesis.txt'), 'ten years of work');
    await writeFile(join(out, 'x'), 'mine');
    const { kept } = await publishIn(dir, { force: true, artifactFiles: [textFile('x', 'new'), textFile('y', 'y')] });
    const aside = join(dir, 'out.replaced');
    expect(kept).toEqual({ inPlace: ['notes/thesis.txt'], aside: { dir: aside, files: ['x'] } });
    expect(await readFile(join(out, 'notes', 'thesis.txt'), 'utf8')).toBe('ten years of work');
    expect(await readFile(join(aside, 'x'), 'utf8')).toBe('mine');
    expect(await readFile(join(out, 'x'), 'utf8')).toBe('new');
    expect((await checkBundle(out)).unlisted).toEqual(['notes/thesis.txt']);
    // of what lies aside nobody knows anything: it is not written over either
    await writeFile(join(out, 'manifest.json'), '{"format": "pgconv-bundle", "files": 3}');
    const again = await publishIn(dir, { force: true });
    expect(again.kept).toMatchObject({ inPlace: [], aside: { dir: `${aside}-2` } });
    expect((await readdir(dir)).sort()).toEqual(['out', 'out.replaced', 'out.replaced-2']);
  });

  test('behind a link is replaced where it lies', async () => {
    const dir = await tempFolder();
    const { dir: out } = await publishIn(dir);
    await symlink(out, join(dir, 'link'));
    await publishIn(dir, { outDir: join(dir, 'link'), force: true, artifactFiles: [textFile('x', 'new')] });
    expect(await readdir(join(dir, 'link'))).toEqual(['manifest.json', 'x']);
    expect((await readdir(dir)).sort()).toEqual(['link', 'out']);
  });

  test('with --force: files that were changed since it was written are kept aside', async () => {
    const dir = await tempFolder();
    const { dir: out } = await publishIn(dir);
    await writeFile(join(out, 'a.bin'), 'mine, of another size');
    const edited = await readFile(join(out, 'onnx/b.bin'));
    edited[7]! ^= 1;
    await writeFile(join(out, 'onnx/b.bin'), edited);
    let compared = 0;
    const { kept } = await publishIn(dir, {
      force: true,
      artifactFiles: [textFile('x', 'new')],
      on: { compared: (bytes) => void (compared += bytes) },
    });
    const replaced = `${out}.replaced`;
    expect(kept).toEqual({ inPlace: [], aside: { dir: replaced, files: ['a.bin', 'onnx/b.bin'] } });
    expect(compared).toBe(edited.byteLength);
    expect(await readFile(join(replaced, 'a.bin'), 'utf8')).toBe('mine, of another size');
    expect(await readFile(join(replaced, 'onnx/b.bin'))).toEqual(edited);
    expect((await readdir(out)).sort()).toEqual(['manifest.json', 'x']);
  });

  test('with --force: a folder where the new bundle has a file is kept aside', async () => {
    const dir = await tempFolder();
    const { dir: out } = await publishIn(dir);
    await mkdir(join(out, 'x'));
    await writeFile(join(out, 'x/mine.txt'), 'precious');
    await writeFile(join(out, 'zz.txt'), 'other');
    const { kept } = await publishIn(dir, { force: true, artifactFiles: [textFile('x', 'new')] });
    expect(kept).toEqual({ inPlace: ['zz.txt'], aside: { dir: `${out}.replaced`, files: ['x/mine.txt'] } });
    expect(await readFile(join(`${out}.replaced`, 'x/mine.txt'), 'utf8')).toBe('precious');
    expect((await readdir(dir)).sort()).toEqual(['out', 'out.replaced']);
  });

  test('with --force: a manifest that was edited gets nobody’s file removed', async () => {
    const dir = await tempFolder();
    const { dir: out } = await publishIn(dir);
    const path = join(out, 'manifest.json');
    const forged = (await readFile(path, 'utf8')).replaceAll('"a.bin"', '"thesis.txt"');
    await writeFile(path, forged);
    await writeFile(join(out, 'thesis.txt'), 'ten years of work');
    const { kept } = await publishIn(dir, { force: true });
    expect(kept).toEqual({
      inPlace: [],
      aside: { dir: `${out}.replaced`, files: ['a.bin', 'manifest.json', 'thesis.txt'] },
    });
    expect(await readFile(join(`${out}.replaced`, 'thesis.txt'), 'utf8')).toBe('ten years of work');
    expect(await readFile(join(`${out}.replaced`, 'manifest.json'), 'utf8')).toBe(forged);
    expect((await checkBundle(out)).unlisted).toEqual([]);
  });

  test('has a parent that is missing, or a file', async () => {
    const dir = await tempFolder();
    await writeFile(join(dir, 'file'), '');
    await expect(publishIn(dir, { outDir: join(dir, 'no/out') })).rejects.toMatchObject({
      code: 'parent_missing',
      exitCode: 4,
    });
    await expect(publishIn(dir, { outDir: join(dir, 'file/out') })).rejects.toMatchObject({
      code: 'parent_missing',
      exitCode: 4,
    });
  });

  test('does not fit on the disk', async () => {
    const dir = await tempFolder();
    await expect(publishIn(dir, { artifactFiles: [patternFile('huge', 2 ** 52)] })).rejects.toMatchObject({
      code: 'disk_full',
      exitCode: 4,
    });
    expect(await readdir(dir)).toEqual([]);
  });
});

describe('a run that fails leaves nothing, and the old bundle', () => {
  const failing = (error: Error): ArtifactFile => ({
    path: 'z',
    byteLength: 100,
    async *chunks() {
      yield { bytes: new Uint8Array(50) };
      throw error;
    },
  });

  test.each<[string, Published, string]>([
    [
      'chunks throw',
      { artifactFiles: [patternFile('a', 500_000), failing(new Error('read of weights failed'))] },
      'read of weights failed',
    ],
    ['too few bytes', { artifactFiles: [textFile('t', 'abc', 4)] }, 't promised 4 bytes and made 3'],
    ['too many bytes', { artifactFiles: [textFile('t', 'abc', 2)] }, 't promised 2 bytes and made more'],
    [
      'the manifest cannot be had',
      { manifest: () => Promise.reject(new Error('a source changed')) },
      'a source changed',
    ],
    ['the check before publishing', { beforePublish: () => Promise.reject(new Error('no parity')) }, 'no parity'],
    ['a name twice', { artifactFiles: [textFile('A', 'x'), textFile('a', 'y')] }, 'another file has this name'],
    ['a name outside', { artifactFiles: [textFile('../a', 'x')] }, 'it has a part ".."'],
    ['the name of the manifest', { artifactFiles: [textFile('Manifest.json', 'x')] }, 'another file has this name'],
    ['a file that is a folder too', { artifactFiles: [textFile('a', 'x'), textFile('a/b', 'y')] }, 'cannot write'],
  ])('%s', async (_, options, message) => {
    const dir = await tempFolder();
    await expect(publishIn(dir, options)).rejects.toThrow(message);
    expect(await readdir(dir)).toEqual([]);
    const old = await publishIn(dir);
    await expect(publishIn(dir, { ...options, force: true })).rejects.toThrow(message);
    expect(await readdir(dir)).toEqual(['out']);
    expect((await checkBundle(old.dir)).manifest).toEqual(old.manifest);
  });

  test('the check before publishing sees the complete bundle', async () => {
    const dir = await tempFolder();
    let seen: string[] = [];
    await publishIn(dir, {
      beforePublish: async (staged) => void (seen = (await checkBundle(staged)).manifest.files.map(({ path }) => path)),
    });
    expect(seen).toEqual(['a.bin', 'empty', 'onnx/b.bin']);
  });

  test('one that was taken over meanwhile says so, whatever it met, and removes nothing', async () => {
    const dir = await tempFolder();
    const lock = join(dir, '.out.pgconv-lock');
    const takenOver: ArtifactFile = {
      path: 'b',
      byteLength: 100,
      async *chunks() {
        const mine = JSON.parse(await readFile(lock, 'utf8')) as object;
        await writeFile(lock, JSON.stringify({ ...mine, pid: 7, host: 'elsewhere', token: 'other' }));
        for (const name of await readdir(dir))
          if (name.includes('pgconv-new-')) await rm(join(dir, name), { recursive: true });
        yield { bytes: new Uint8Array(100) };
      },
    };
    const files = [takenOver, patternFile('onnx/a', 500_000)];
    await expect(publishIn(dir, { artifactFiles: files })).rejects.toMatchObject({
      code: 'locked',
      message: expect.stringContaining('process 7 on elsewhere has taken its output over'),
    });
    expect(await readdir(dir)).not.toContain('out');
    expect(await readFile(lock, 'utf8')).toContain('"other"');
  });

  test('an abort in the middle', async () => {
    const dir = await tempFolder();
    const abort = new AbortController();
    const endless: ArtifactFile = {
      path: 'endless',
      byteLength: 2 ** 30,
      async *chunks() {
        for (let i = 0; ; i++) {
          if (i === 5) abort.abort();
          yield { bytes: new Uint8Array(65536) };
        }
      },
    };
    await expect(publishIn(dir, { artifactFiles: [endless], signal: abort.signal })).rejects.toMatchObject({
      code: 'interrupted',
      exitCode: 130,
    });
    expect(await readdir(dir)).toEqual([]);
  });
});

test('chunks are not made faster than they are written', async () => {
  const dir = await tempFolder();
  let made = 0;
  let written = 0;
  let most = 0;
  const file: ArtifactFile = {
    path: 'big',
    byteLength: 160 * 2 ** 20,
    async *chunks() {
      for (let i = 0; i < 40; i++) {
        made += 4 * 2 ** 20;
        most = Math.max(most, made - written);
        yield { bytes: new Uint8Array(4 * 2 ** 20) };
      }
    },
  };
  await publishIn(dir, { artifactFiles: [file], on: { progress: (bytes) => void (written = bytes) } });
  expect(most).toBeLessThanOrEqual(40 * 2 ** 20);
});
