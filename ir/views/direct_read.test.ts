import { describe, expect, it } from 'vitest';
import { INT4, INT8 } from '../quantize/scheme.ts';
import { quantizeMatrix } from '../quantize/quantize_matrix.ts';
import { bytesData, directReadOf, readBytes, rememberDirectRead, tensorData, type TensorData } from '../tensor.ts';
import { randomTensor } from '../testing/random.ts';
import { castData } from './cast.ts';
import { dequantizedData } from './dequantize.ts';
import { sliceRows } from './select.ts';

/** The same bytes, with a direct read that counts. */
function direct(data: TensorData): { readonly data: TensorData; readonly reads: () => number } {
  let reads = 0;
  const copy = { ...data, chunks: (options?: Parameters<TensorData['chunks']>[0]) => data.chunks(options) };
  rememberDirectRead(copy, async (out, begin) => {
    reads++;
    out.set(await readBytes(data, { begin, end: begin + out.byteLength }));
  });
  return { data: copy, reads: () => reads };
}

/** What chunks give, whatever else there is. */
async function byChunks(data: TensorData, begin = 0, end = data.byteLength): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const chunk of data.chunks({ begin, end })) parts.push(chunk);
  return new Uint8Array(Buffer.concat(parts));
}

const bytesOf = (data: TensorData, begin: number, end: number) => readBytes(data, { begin, end });

describe('memory that is there gets the bytes that chunks give', () => {
  it.each(['bf16', 'f16'] as const)('of %s as f32, a window of it, and wherever the memory begins', async (dtype) => {
    const source = direct(tensorData(randomTensor(dtype, [7, 5], 1)));
    const rows = sliceRows(castData(source.data, 'f32'), 2, 7);
    expect(await bytesOf(rows, 0, rows.byteLength)).toEqual(await byChunks(rows));
    expect(await bytesOf(rows, 20, 60)).toEqual(await byChunks(rows, 20, 60));
    expect(source.reads()).toBe(2);
    const memory = new Uint8Array(45).subarray(1, 41);
    await directReadOf(rows)!(memory, 20);
    expect(memory).toEqual(await byChunks(rows, 20, 60));
  });

  it.each([
    ['4 bits with zero points', INT4, 70],
    ['4 bits, whole blocks', INT4, 64],
    ['8 bits', INT8, 70],
  ])('of codes of %s', async (_, scheme, columns) => {
    const weight = tensorData(randomTensor('f32', [9, columns], 2));
    const { q, scales, zeros } = quantizeMatrix(weight, scheme);
    const data = dequantizedData({ format: scheme.format, q, scales, ...(zeros && { zeros }) }, [9, columns]);
    const row = 4 * columns;
    for (const [begin, end] of [
      [0, 9 * row],
      [3 * row, 5 * row],
      [3 * row + 8, 5 * row],
    ] as const)
      expect(await bytesOf(data, begin, end)).toEqual(await byChunks(data, begin, end));
  });

  it('of other casts, and of sources without, by chunks', () => {
    const source = bytesData('f32', [2], new Uint8Array(8));
    expect(directReadOf(castData(direct(source).data, 'f16'))).toBeUndefined();
    expect(directReadOf(castData(castData(source, 'bf16'), 'f32'))).toBeUndefined();
  });

  it('is refused for other than as many bytes', async () => {
    const { data } = direct(bytesData('f32', [2], new Uint8Array(8)));
    await expect(readBytes(data, { begin: 0, end: 12 })).rejects.toThrow(RangeError);
  });
});
