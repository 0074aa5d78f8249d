import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openSource } from '../sources/open_source.ts';
import { readJsonIfThere, type BundleSource } from '../sources/source.ts';
import { checkedSource } from './checked_source.ts';
import { readFileHashes } from './file_hashes.ts';
import { asBlobs, withHashes } from './testing/with_hashes.ts';

/** More than one chunk of a stream, and no whole number of blocks. */
const LARGE = Uint8Array.from({ length: 4 * 1024 * 1024 + 1001 }, (_, i) => (i * 7) % 251);
const FILES = new Map<string, Uint8Array<ArrayBuffer>>([
  ['large.bin', LARGE],
  ['a/small.json', new TextEncoder().encode('{"a": 1}')],
  ['empty.bin', new Uint8Array()],
]);
const BUNDLE = withHashes(FILES);

/** Files in place of those of the bundle; undefined takes one away. */
type Changes = Readonly<Record<string, Uint8Array<ArrayBuffer> | undefined>>;

async function checked(source: BundleSource): Promise<BundleSource> {
  return checkedSource(source, await readFileHashes(source));
}

function opened(changes: Changes = {}): Promise<BundleSource> {
  const files = new Map(BUNDLE);
  for (const [path, data] of Object.entries(changes)) if (data) files.set(path, data);
  const blobs = asBlobs(files);
  for (const [path, data] of Object.entries(changes)) if (!data) blobs.delete(path);
  return checked(openSource(blobs, 'manifest.json'));
}

const flipped = (data: Uint8Array<ArrayBuffer>, at: number) => {
  const spoilt = data.slice();
  spoilt[at]! ^= 4;
  return spoilt;
};

/** The bytes that come, until all have or an error does. */
async function streamed(source: BundleSource, path: string, length: number): Promise<[Buffer, unknown]> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of source.stream(path, length)) chunks.push(chunk);
    return [Buffer.concat(chunks), undefined];
  } catch (error) {
    return [Buffer.concat(chunks), error];
  }
}

const damaged = (path: string, what: RegExp | string) =>
  expect.objectContaining({
    name: 'RuntimeError',
    code: 'damaged',
    message: expect.stringMatching(what) as string,
    problem: expect.stringContaining(path) as string,
    hint: 'copy the bundle again, or convert again',
  }) as unknown;

describe.each(['Node', 'a browser'])('in %s', (where) => {
  beforeEach(() => {
    if (where === 'a browser') vi.spyOn(process, 'getBuiltinModule').mockReturnValue(undefined);
  });
  afterEach(() => vi.restoreAllMocks());

  it('gives what was written: whole, in order, and in ranges', async () => {
    const source = await opened();
    expect([source.name, source.isRemote]).toEqual(['the files given', false]);
    expect(await source.read('a/small.json')).toEqual(FILES.get('a/small.json'));
    expect(await source.read('manifest.json')).toEqual(BUNDLE.get('manifest.json'));
    expect(await source.read('empty.bin')).toEqual(new Uint8Array());
    const [bytes, error] = await streamed(source, 'large.bin', LARGE.length);
    expect([error, bytes.equals(LARGE)]).toEqual([undefined, true]);
    expect((await streamed(source, 'empty.bin', 0))[1]).toBeUndefined();
    for (const [begin, end] of [
      [0, 5],
      [65_530, 65_540],
      [65_536, 131_072],
      [LARGE.length - 3, LARGE.length],
      [9, 9],
    ] as const) {
      const range = await source.readRange('large.bin', begin, end);
      expect(Buffer.from(range).equals(LARGE.subarray(begin, end))).toBe(true);
      // whoever asked may look at its buffer as floats
      expect(range.byteOffset + range.buffer.byteLength).toBe(end - begin);
    }
    expect(await source.readRange('empty.bin', 0, 0)).toEqual(new Uint8Array());
  });

  it('a flipped bit, wherever: not all of the file is given', async () => {
    for (const at of [0, 3_000_000, LARGE.length - 1]) {
      const source = await opened({ 'large.bin': flipped(LARGE, at) });
      const [bytes, error] = await streamed(source, 'large.bin', LARGE.length);
      expect(error).toEqual(damaged('large.bin', /its bytes changed/));
      expect(bytes.length).toBeLessThan(LARGE.length);
      await expect(source.read('large.bin')).rejects.toEqual(damaged('large.bin', /its bytes changed/));
      await expect(source.beforeRanges!('large.bin')).rejects.toEqual(damaged('large.bin', /its bytes changed/));
      await expect(source.readRange('large.bin', 0, 4)).rejects.toEqual(damaged('large.bin', /its bytes changed/));
    }
  });
});

it('a file that is cut, longer, or gone', async () => {
  const cut = await opened({ 'large.bin': LARGE.slice(0, -5), 'a/small.json': new Uint8Array(3) });
  // told by the source, before any byte of it comes
  const [none, short] = await streamed(cut, 'large.bin', LARGE.length);
  expect([none.length, short]).toEqual([
    0,
    expect.objectContaining({
      code: 'damaged',
      message: expect.stringMatching(/large\.bin ends after \d+ bytes/) as string,
    }),
  ]);
  await expect(cut.read('a/small.json')).rejects.toEqual(damaged('a/small.json', /3 bytes in place of 8/));
  const long = await opened({ 'large.bin': new Uint8Array(Buffer.concat([LARGE, Buffer.of(0)])) });
  expect((await streamed(long, 'large.bin', LARGE.length))[1]).toEqual(damaged('large.bin', /it has more than/));
  const gone = await opened({ 'large.bin': undefined, 'a/small.json': undefined });
  expect((await streamed(gone, 'large.bin', LARGE.length))[1]).toEqual(damaged('large.bin', /it is missing/));
  await expect(gone.readRange('large.bin', 0, 1)).rejects.toEqual(damaged('large.bin', /it is missing/));
  // nobody takes it for one that the bundle can be without
  await expect(readJsonIfThere(gone, 'a/small.json')).rejects.toEqual(damaged('a/small.json', /it is missing/));
});

it('what manifest.json does not list is not there, whatever lies in the folder', async () => {
  const source = await opened({ 'other.json': new TextEncoder().encode('{}') });
  await expect(source.read('other.json')).rejects.toMatchObject({
    code: 'not_found',
    message: expect.stringContaining('other.json') as string,
  });
  expect(await readJsonIfThere(source, 'other.json')).toEqual({});
});

it('a plan that wants another size than manifest.json says is damage', async () => {
  const [, error] = await streamed(await opened(), 'large.bin', 5);
  expect(error).toEqual(damaged('large.bin', /5 bytes of it are wanted/));
});

it('a range behind the end is an error', async () => {
  await expect((await opened()).readRange('large.bin', 0, LARGE.length + 1)).rejects.toMatchObject({
    code: 'damaged',
    message: expect.stringContaining('ends after') as string,
  });
});

it('a file that changes after it was opened is noticed where it is read', async () => {
  const blobs = asBlobs(BUNDLE);
  const source = await checked(openSource(blobs, 'manifest.json'));
  await source.beforeRanges!('large.bin');
  blobs.set('large.bin', new Blob([flipped(LARGE, 200_000)]));
  expect(await source.readRange('large.bin', 100, 101)).toEqual(LARGE.slice(100, 101));
  await expect(source.readRange('large.bin', 199_000, 199_010)).rejects.toEqual(
    damaged('large.bin', /from 196608 on changed/),
  );
});

it('a file is read through once for all ranges, and again after it failed', async () => {
  const blobs = asBlobs(BUNDLE);
  const plain = openSource(blobs, 'manifest.json');
  const stream = vi.fn<BundleSource['stream']>(plain.stream);
  const source = await checked({ ...plain, stream });
  blobs.set('large.bin', new Blob([flipped(LARGE, 3)]));
  await expect(source.readRange('large.bin', 0, 1)).rejects.toMatchObject({ code: 'damaged' });
  blobs.set('large.bin', new Blob([LARGE]));
  await Promise.all([0, 1, 2].map((at) => source.readRange('large.bin', at, at + 1)));
  expect(stream).toHaveBeenCalledTimes(2);
});
