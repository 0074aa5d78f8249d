import { expect, test } from 'vitest';
import { bytesData, readBytes } from '../../tensor.ts';
import { kernelExports } from '../../testing/kernels.ts';
import { randomSource } from '../../random_source.ts';
import { castData } from '../../views/cast.ts';
import { castKernels } from './casts.js';

const casts = castKernels(kernelExports());

/** All patterns of the upper half with several lower halves: ties, their neighbours, and random ones. */
function patterns(): Uint32Array {
  const next = randomSource(3);
  const low = [0, 1, 0x0fff, 0x1000, 0x1001, 0x7fff, 0x8000, 0x8001, 0xefff, 0xf000, 0xffff, 0x3000];
  return Uint32Array.from(
    { length: 65536 * low.length + 5 },
    (_, i) => ((i & 0xffff) << 16) | (i % 5 === 4 ? next() * 65536 : low[Math.floor(i / 65536) % low.length]!),
  );
}

test.each(['f16', 'bf16'] as const)('f32 to %s: the same bits as without vectors', async (dtype) => {
  const words = patterns();
  const bytes = new Uint8Array(words.buffer);
  const expected = await readBytes(castData(bytesData('f32', [words.length], bytes), dtype));
  expect(Buffer.from(casts[`f32 to ${dtype}`](bytes, words.length)).equals(Buffer.from(expected))).toBe(true);
});

test('bf16 to f16 in place, every pattern, from an odd address', async () => {
  const bytes = new Uint8Array(1 + 2 * 65536).subarray(1);
  bytes.set(new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer));
  const expected = await readBytes(castData(bytesData('bf16', [65536], bytes), 'f16'));
  expect(Buffer.from(casts['bf16 to f16'](bytes, 65536)).equals(Buffer.from(expected))).toBe(true);
});

test.each([0, 1, 7, 8, 32768, 32771])('%d elements', (count) => {
  const words = new Uint32Array(count + 3).fill(0x3f800000);
  expect([...new Uint16Array(casts['f32 to f16'](new Uint8Array(words.buffer), count).buffer)]).toEqual(
    Array<number>(count).fill(0x3c00),
  );
});
