import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Inputs } from '../inputs/inputs.ts';
import { recognize, refusedName, type Content } from './recognize.ts';
import { tempFolder } from './testing/temp_folder.ts';

async function contentOf(bytes: Uint8Array): Promise<Content> {
  const inputs = new Inputs();
  try {
    return await recognize(await inputs.open(join(tempFolder({ x: bytes }), 'x')));
  } finally {
    await inputs.close();
  }
}

const latin1 = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

/** Bytes at the head of a file by which its kind is told, each of them needed; what comes behind is any. */
const MAGIC: readonly (readonly [string, string, Partial<Content>])[] = [
  ['a zip', 'PK\u0003\u0004', { kind: 'zip' }],
  ['an empty zip', 'PK\u0005\u0006', { kind: 'zip' }],
  ['GGUF', 'GGUF', { kind: 'refused', message: expect.stringContaining('GGUF') as string }],
  ['HDF5', '\u0089HDF', { kind: 'refused', message: expect.stringContaining('HDF5') as string }],
  ['NumPy', '\u0093NUMPY', { kind: 'refused', message: expect.stringContaining('.npy') as string }],
  ['gzip', '\u001f\u008b', { kind: 'refused', message: expect.stringContaining('archive') as string }],
  ['zstd', '(\u00b5/\u00fd', { kind: 'refused', message: expect.stringContaining('archive') as string }],
  ['bzip2', 'BZh', { kind: 'refused', message: expect.stringContaining('archive') as string }],
];

describe('by the first bytes', () => {
  it.each(MAGIC)('%s', async (_, magic, expected) => {
    expect(await contentOf(latin1(`${magic} and more`))).toMatchObject(expected);
    for (let at = 0; at < magic.length; at++) {
      const other = latin1(`${magic} and more`);
      other[at]! ^= 0x40;
      expect(await contentOf(other), `another byte ${at}`).toEqual({ kind: 'unknown' });
    }
  });

  it.each([2, 3, 4, 5])('a pickle of protocol %d', async (protocol) => {
    expect(await contentOf(Uint8Array.of(0x80, protocol, 0x8a))).toMatchObject({ code: 'pickle_refused' });
  });

  it.each([0, 1, 6])('no pickle has protocol %d', async (protocol) => {
    expect(await contentOf(Uint8Array.of(0x80, protocol, 0x8a))).toEqual({ kind: 'unknown' });
  });

  it('nothing', async () => expect(await contentOf(new Uint8Array(0))).toEqual({ kind: 'empty' }));

  it('safetensors by a length and a brace, also where the length spells something else', async () => {
    for (const length of ['\u0002\0\0\0\0\0\0\0', 'GGUF\0\0\0\0', 'PK\u0003\u0004\0\0\0\0'])
      expect(await contentOf(latin1(`${length}{}`))).toEqual({ kind: 'safetensors' });
    for (const head of [
      '\u0002\0\0\0\0\u0001\0\0{',
      '\u0002\0\0\0\0\0\u0001\0{',
      '\u0002\0\0\0\0\0\0\u0001{',
      '\u0002\0\0\0\0\0\0\0[',
    ])
      expect(await contentOf(latin1(head))).toEqual({ kind: 'unknown' });
  });

  it.each(['<!DOCTYPE html>', '\n  <html>', '\u00ef\u00bb\u00bf<head>', '<?xml version="1.0"?>', '<!-- x -->'])(
    'the web page %j',
    async (text) => expect(await contentOf(latin1(text))).toMatchObject({ code: 'html_page' }),
  );

  it('a Git LFS pointer, with its size where it says one', async () => {
    const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\n';
    expect(await contentOf(latin1(`${pointer}size 123\n`))).toMatchObject({
      code: 'git_lfs_pointer',
      message: 'a Git LFS pointer, not the weights (123 bytes)',
    });
    expect(await contentOf(latin1(pointer))).toMatchObject({ message: 'a Git LFS pointer, not the weights' });
  });
});

describe('by name, where bytes tell nothing', () => {
  it.each([
    ['pickle', ['a.bin', 'a.pt', 'a.pth', 'a.ckpt', 'a.pkl', 'a.PICKLE']],
    ['gguf', ['a.gguf']],
    ['hdf5', ['a.h5', 'a.hdf5', 'a.keras']],
    ['msgpack', ['flax_model.msgpack']],
    ['archive', ['a.tar', 'a.tgz', 'a.tar.gz', 'a.zst', 'a.7z']],
    [
      'tensorstore',
      ['_METADATA', '_CHECKPOINT_METADATA', 'manifest.ocdbt', '.zarray', 'ocdbt.process_0', 'x-LAST', 'params~x'],
    ],
    [undefined, ['a.bin.txt', 'model.safetensors', 'a.npz', 'pt', 'x_METADATA', 'x-LAST1', 'manifest.ocdbt2']],
  ] as const)('%s', (kind, names) => expect(names.map(refusedName)).toEqual(names.map(() => kind)));
});
