import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSource, type BundleLocation } from './open_source.ts';
import { readJson, readJsonIfThere, type BundleSource } from './source.ts';

const CHUNK = 4 * 1024 * 1024;
/** More than one piece of a stream, and a size that no piece divides. */
const LARGE = Uint8Array.from({ length: CHUNK + 1001 }, (_, i) => (i * 7) % 251);
/** `toEqual` looks at each byte for microseconds. */
const isLarge = (bytes: Uint8Array) => Buffer.from(bytes).equals(LARGE);
const FILES: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
  'manifest.json': new TextEncoder().encode('{"a": 1}'),
  'bad.json': new TextEncoder().encode('{'),
  'weights/large.bin': LARGE,
};

let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgconv-source-'));
  mkdirSync(join(folder, 'weights'));
  for (const [path, bytes] of Object.entries(FILES)) writeFileSync(join(folder, path), bytes);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** As a file picker gives them: below the name of the folder that was chosen. */
function picked(root: string): File[] {
  return Object.entries(FILES).map(([path, bytes]) => {
    const file = new File([bytes], path.slice(path.lastIndexOf('/') + 1));
    return root === '' ? file : Object.assign(file, { webkitRelativePath: `${root}/${path}` });
  });
}

const LOCATIONS: Readonly<Record<string, () => BundleLocation>> = {
  'the path of a folder': () => folder,
  'the path with a slash': () => `${folder}/`,
  'its URL': () => pathToFileURL(`${folder}/`),
  'its URL as a text': () => pathToFileURL(folder).href,
  'files of a picker': () => [new File(['of another'], 'manifest.txt'), ...picked('chosen/bundle')],
  'blobs by path': () => new Map(Object.entries(FILES).map(([path, bytes]) => [path, new Blob([bytes])])),
};

async function streamed(source: BundleSource, path: string, signal?: AbortSignal): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source.stream(path, LARGE.length, signal)) chunks.push(chunk);
  return chunks;
}

describe.each(Object.entries(LOCATIONS))('%s', (_, locate) => {
  const open = () => openSource(locate(), 'manifest.json');

  it('gives whole files, ranges and streams of them', async () => {
    const source = open();
    expect(source.isRemote).toBe(false);
    expect(isLarge(await source.read('weights/large.bin'))).toBe(true);
    expect(await source.readRange('weights/large.bin', 5, 5)).toEqual(new Uint8Array(0));
    expect(await source.readRange('weights/large.bin', 1000, 2001)).toEqual(LARGE.slice(1000, 2001));
    const end = LARGE.length;
    expect(await source.readRange('weights/large.bin', end - 3, end)).toEqual(LARGE.slice(end - 3));
    const chunks = await streamed(source, 'weights/large.bin');
    expect(Math.max(...chunks.map(({ length }) => length))).toBe(CHUNK);
    expect(isLarge(Buffer.concat(chunks))).toBe(true);
  });

  it('says that a file ends before a range does: no zeros come in its place', async () => {
    const end = LARGE.length;
    await expect(open().readRange('weights/large.bin', end - 3, end + 1)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringContaining(`ends after ${end} bytes, and bytes up to ${end + 1} are needed`) as string,
    });
  });

  it('says what is not there', async () => {
    const source = open();
    const missing = { code: 'not_found', message: expect.stringContaining('none.bin') as string };
    await expect(source.read('none.bin')).rejects.toMatchObject(missing);
    await expect(source.readRange('none.bin', 0, 1)).rejects.toMatchObject(missing);
    await expect(streamed(source, 'none.bin')).rejects.toMatchObject(missing);
  });

  it('stops when it is told to', async () => {
    const signal = AbortSignal.abort(new Error('no longer wanted'));
    await expect(streamed(open(), 'weights/large.bin', signal)).rejects.toThrow('no longer wanted');
  });

  it('reads JSON, and tells what is damaged from what is absent', async () => {
    const source = open();
    expect(await readJson(source, 'manifest.json')).toEqual({ a: 1 });
    expect(await readJsonIfThere(source, 'manifest.json')).toEqual({ a: 1 });
    expect(await readJsonIfThere(source, 'none.json')).toEqual({});
    await expect(readJson(source, 'none.json')).rejects.toMatchObject({ code: 'not_found' });
    for (const read of [readJson, readJsonIfThere])
      await expect(read(source, 'bad.json')).rejects.toMatchObject({
        code: 'damaged',
        message: expect.stringContaining('bad.json is no JSON') as string,
      });
  });
});

describe('a folder that somebody else made', () => {
  const hostile = () => {
    const bundle = mkdtempSync(join(tmpdir(), 'pgconv-hostile-source-'));
    writeFileSync(join(bundle, 'own.bin'), 'own');
    symlinkSync('own.bin', join(bundle, 'inner.bin'));
    symlinkSync(join(folder, 'manifest.json'), join(bundle, 'outer.bin'));
    symlinkSync(folder, join(bundle, 'outer'));
    mkdirSync(join(bundle, 'a-folder'));
    execFileSync('mkfifo', [join(bundle, 'fifo')]);
    return bundle;
  };

  it.each([
    ['outer.bin', 'a link leads out of the bundle'],
    ['outer/manifest.json', 'a link leads out of the bundle'],
    ['../x', 'the path leads out of the bundle'],
    ['a\\..\\..\\x', 'the path leads out of the bundle'],
    ['/etc/hostname', 'the path leads out of the bundle'],
    ['fifo', 'it is no regular file'],
    ['a-folder', 'it is no regular file'],
  ])('reads no %s, and waits for none', async (path, why) => {
    const bundle = hostile();
    for (const place of [bundle, `${bundle}/`]) {
      const source = openSource(place, 'manifest.json');
      const refusal = { code: 'damaged', message: expect.stringContaining(why) as string };
      await expect(source.read(path)).rejects.toMatchObject(refusal);
      await expect(source.readRange(path, 0, 1)).rejects.toMatchObject(refusal);
      await expect(streamed(source, path)).rejects.toMatchObject(refusal);
      expect(Buffer.from(await source.read('inner.bin')).toString()).toBe('own');
    }
    rmSync(bundle, { recursive: true });
  });
});

it('a folder ends a read that was told to end before it began', async () => {
  const source = openSource(folder, 'manifest.json');
  const signal = AbortSignal.abort(new Error('no longer wanted'));
  await expect(source.readRange('weights/large.bin', 0, 1, signal)).rejects.toThrow('no longer wanted');
  await expect(source.read('manifest.json', signal)).rejects.not.toMatchObject({ code: 'not_found' });
});

it('files without folders are those of one folder', async () => {
  const source = openSource(picked(''), 'manifest.json');
  expect(isLarge(await source.read('large.bin'))).toBe(true);
});

it('files without the manifest are no bundle', () => {
  expect(() => openSource([new File([''], 'other.json')], 'manifest.json')).toThrow(
    expect.objectContaining({ code: 'bad_input' }),
  );
});

it('other addresses are asked over the network, as folders', () => {
  for (const url of ['https://example.org/b', 'https://example.org/b/', new URL('https://example.org/b')]) {
    const source = openSource(url, 'manifest.json');
    expect([source.isRemote, source.name]).toEqual([true, 'https://example.org/b/']);
  }
});
