import { byteLengthOf, dtypes, type DType } from '../dtypes/index.ts';
import { elementCount, readBytes, readRange, type TensorData } from '../tensor.ts';
import { windowOf } from './window.ts';

/** The same bytes under another dtype and shape. @throws RangeError when they are more or fewer than those need. */
export function reinterpretedData(data: TensorData, dtype: DType, shape: readonly number[]): TensorData {
  if (byteLengthOf(dtype, elementCount(shape)) !== data.byteLength)
    throw new RangeError(`${data.dtype}[${data.shape.join(', ')}] as ${dtype}[${shape.join(', ')}]`);
  return { ...data, dtype, shape, chunks: (options) => data.chunks(options) };
}

/**
 * Each byte through `f`, under another dtype of the same width: for codes whose meaning another convention puts
 * elsewhere.
 */
export function mappedBytes(data: TensorData, dtype: DType, f: (byte: number) => number): TensorData {
  if (dtypes[dtype].bits !== dtypes[data.dtype].bits) throw new RangeError(`${data.dtype} as ${dtype}`);
  return {
    ...data,
    dtype,
    async *chunks(options) {
      for await (const chunk of data.chunks(options)) {
        for (let i = 0; i < chunk.byteLength; i++) chunk[i] = f(chunk[i]!);
        yield chunk;
      }
    },
  };
}

/**
 * 4-bit rows [N, C] as bytes [N, ⌈C / 2⌉], each row from a byte of its own: the IR packs elements on over the ends of
 * rows. Read in pieces of whole bytes.
 */
export function packedRows(data: TensorData): TensorData {
  const [rows, columns] = data.shape as readonly [number, number];
  const width = Math.ceil(columns / 2);
  if (columns % 2 === 0) return reinterpretedData(data, 'u8', [rows, width]);
  const byteLength = rows * width;
  return {
    ...data,
    dtype: 'u8',
    shape: [rows, width],
    byteLength,
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      for (let at = begin; at < end; at += maxBytes) {
        const bytes = new Uint8Array(Math.min(maxBytes, end - at));
        // an even row to begin with: pairs of rows fill whole bytes of the source
        const first = Math.floor(at / width / 2) * 2;
        const last = Math.min(rows, Math.ceil((at + bytes.byteLength) / width / 2) * 2);
        const source = await readBytes(windowOf(data, first * columns, [last - first, columns]));
        for (let i = 0; i < bytes.byteLength; i++) {
          const row = Math.floor((at + i) / width) - first;
          const column = 2 * ((at + i) % width);
          const nibble = (element: number) => (source[element >> 1]! >> (element & 1 ? 4 : 0)) & 15;
          bytes[i] =
            nibble(row * columns + column) | (column + 1 < columns ? nibble(row * columns + column + 1) << 4 : 0);
        }
        yield bytes;
      }
    },
  };
}

/** Each element of [N, 1] `count` times over: [N, count]. Elements of whole bytes only. */
export function repeatedColumns(data: TensorData, count: number): TensorData {
  const size = dtypes[data.dtype].bits / 8;
  if (!Number.isInteger(size) || data.shape[1] !== 1)
    throw new RangeError(`${data.dtype}[${data.shape.join(', ')}] repeated along its rows`);
  const byteLength = data.byteLength * count;
  return {
    ...data,
    shape: [data.shape[0]!, count],
    byteLength,
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      const row = size * count;
      for (let at = begin; at < end; at += maxBytes) {
        const bytes = new Uint8Array(Math.min(maxBytes, end - at));
        const first = Math.floor(at / row);
        const source = await readBytes(data, {
          begin: first * size,
          end: Math.ceil((at + bytes.byteLength) / row) * size,
        });
        for (let i = 0; i < bytes.byteLength; i++)
          bytes[i] = source[(Math.floor((at + i) / row) - first) * size + ((at + i) % size)]!;
        yield bytes;
      }
    },
  };
}
