import { describe, expect, it } from 'vitest';
import { openSource } from '../sources/open_source.ts';
import { readFileHashes } from './file_hashes.ts';
import { hashOf, manifestText } from './testing/with_hashes.ts';

const FILES = [hashOf('a/b.bin', Uint8Array.of(1, 2, 3)), hashOf('c.json', new Uint8Array())];

const read = (text: string | Uint8Array<ArrayBuffer>) =>
  readFileHashes(openSource(new Map([['manifest.json', new Blob([text])]]), 'manifest.json'));

it('reads what was written: each file, and the text itself', async () => {
  const text = manifestText(FILES, { options: { reference: 'é' } });
  const { files, manifest } = await read(text);
  expect([...files.values()]).toEqual(FILES);
  expect(new TextDecoder().decode(manifest)).toBe(text);
});

it('every flipped bit of it is noticed', async () => {
  const bytes = new TextEncoder().encode(manifestText(FILES.slice(0, 1)));
  for (let bit = 0; bit < 8 * bytes.length; bit++) {
    const spoilt = bytes.slice();
    spoilt[bit >> 3]! ^= 1 << (bit & 7);
    await expect(read(spoilt), `bit ${bit}`).rejects.toMatchObject({
      name: 'RuntimeError',
      code: expect.stringMatching(/^(damaged|newer_version)$/) as string,
      message: expect.stringContaining('manifest.json') as string,
    });
  }
});

describe('refused is', () => {
  const [file] = FILES as [(typeof FILES)[0]];
  it.each<[string, string, RegExp]>([
    ['what is no JSON', '{', /is no JSON/],
    ['null', 'null\n', /is not that of a bundle/],
    ['another JSON', '{}\n', /is not that of a bundle/],
    ['the same in another layout', JSON.stringify(JSON.parse(manifestText(FILES))), /is not the text that was written/],
    ['a byte order mark', `\uFEFF${manifestText(FILES)}`, /is no JSON/],
    ['a file without a hash', manifestText([{ ...file, sha256: '' }]), /is not the text that was written/],
    ['a size that is none', manifestText([{ ...file, bytes: -1 }]), /is not the text that was written/],
    ['a path that leaves the bundle', manifestText([{ ...file, path: '../x' }]), /lists "\.\.\/x"/],
    ['a file that is there twice', manifestText([file, file]), /lists a file twice/],
    ['itself in the list', manifestText([{ ...file, path: 'manifest.json' }]), /lists a file twice/],
  ])('%s', async (_, text, message) => {
    await expect(read(text)).rejects.toMatchObject({
      code: 'damaged',
      message: expect.stringMatching(message) as string,
    });
  });

  it('a later version, by the way out', async () => {
    await expect(read(manifestText(FILES, { formatVersion: 2 }))).rejects.toMatchObject({
      code: 'newer_version',
      hint: 'use a newer pgconv',
    });
  });

  it('a bundle without it, which says how to load all the same', async () => {
    await expect(readFileHashes(openSource(new Map(), 'manifest.json'))).rejects.toMatchObject({
      code: 'not_found',
      hint: expect.stringContaining('integrity: false') as string,
    });
  });
});
