import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { decodeGif } from './gif.ts';

// what Pillow makes of these is tested with the decoder of files, in converter/images
const bytes = new Uint8Array(
  readFileSync(new URL('../../../fixtures/preprocess/gif/smaller_transparent.gif', import.meta.url)),
);

test('what is transparent, and what the picture leaves of the screen, has its colour', () => {
  const { width, height, data } = decodeGif(bytes);
  expect([width, height]).toEqual([23, 18]);
  // colour 7 of the palette, behind the 13 bytes of the header
  expect(data.subarray(0, 3)).toEqual(bytes.subarray(13 + 21, 13 + 24));
});

test('cut anywhere before its last code, it is an error', () => {
  for (let length = 0; length < bytes.length - 3; length++)
    expect(() => decodeGif(bytes.subarray(0, length)), `${length}`).toThrow(/too early/);
  expect(decodeGif(bytes.subarray(0, -2))).toEqual(decodeGif(bytes));
});

test('codes that mean nothing, and codes of no bits', () => {
  const at = bytes.length - 50;
  const outcomes = Array.from({ length: 40 }, (_, i) => {
    try {
      decodeGif(bytes.with(at + i, 0xff));
      return 'read';
    } catch (error) {
      return (error as Error).message;
    }
  });
  expect(outcomes).toContain('a code that means nothing yet');
  // behind the descriptor of the picture, which has no palette of its own
  const descriptor = bytes.findIndex((byte, i) => byte === 0x2c && bytes[i + 1] === 4 && bytes[i + 3] === 3);
  expect(() => decodeGif(bytes.with(descriptor + 10, 12))).toThrow('codes of 12 bits');
});

test('a small file that asks for a huge picture, or a huge screen, is an error before memory is asked for', () => {
  const descriptor = bytes.findIndex((byte, i) => byte === 0x2c && bytes[i + 1] === 4 && bytes[i + 3] === 3);
  const huge = (at: number) => Uint8Array.from(bytes, (byte, i) => (i >= at && i < at + 4 ? 0xff : byte));
  // columns and rows of the picture, behind its place; width and height of the screen, behind the signature
  for (const at of [descriptor + 5, 6]) expect(() => decodeGif(huge(at))).toThrow(/65535×65535/);
  expect(() => decodeGif(bytes, 23 * 18 - 1)).toThrow(/23×18/);
});
