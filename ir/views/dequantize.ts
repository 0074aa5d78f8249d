import { byteLengthOf, dtypes } from '../dtypes/index.ts';
import { CHUNK_BYTES, elementCount, readRange, readTensor, type Tensor, type TensorData } from '../tensor.ts';
import { windowOf } from './window.ts';

/** Codes q[..., blocks, block] with their scales and zero points [..., blocks]. */
export interface Quantized<T> {
  readonly q: T;
  readonly scales: T;
  readonly zeros?: T;
}

/** Sizes of some rows of codes: `columns` of `blocks` · `block` elements are meant. */
export interface RowSizes {
  readonly rows: number;
  readonly blocks: number;
  readonly block: number;
  readonly columns: number;
}

/** The zero point of codes that come without: 0 when they have a sign, else the middle of their range. */
function defaultZero({ dtype }: Tensor): number {
  return dtype.startsWith('i') ? 0 : 2 ** (dtypes[dtype].bits - 1);
}

/** (q - zero) · scale, row by row into `out`. */
export function dequantizeRows(
  { q, scales, zeros }: Quantized<Tensor>,
  { rows, blocks, block, columns }: RowSizes,
  out: Float64Array | Float32Array,
): void {
  const middle = defaultZero(q);
  for (let row = 0; row < rows; row++)
    for (let b = 0; b < blocks; b++) {
      const scale = scales.data[row * blocks + b]!;
      const zero = zeros ? zeros.data[row * blocks + b]! : middle;
      const from = (row * blocks + b) * block;
      const to = row * columns + b * block;
      const count = Math.min(block, columns - b * block);
      for (let i = 0; i < count; i++) out[to + i] = (q.data[from + i]! - zero) * scale;
    }
}

/**
 * The matrix [N, columns] that codes [N, blocks, block] stand for, in the dtype of the scales: made a few rows at a
 * time when it is read. Rows are taken in pairs, since an odd number of 4-bit zero points ends within a byte.
 */
export function dequantizedData(matrix: Quantized<TensorData>, columns: number): TensorData {
  const { q, scales, zeros } = matrix;
  const [total, blocks, block] = q.shape as readonly [number, number, number];
  const codec = dtypes[scales.dtype];
  const rowBytes = byteLengthOf(scales.dtype, columns);
  const byteLength = total * rowBytes;
  const readSome = async (first: number, rows: number): Promise<Uint8Array> => {
    const part = (data: TensorData) =>
      readTensor(windowOf(data, first * elementCount(data.shape.slice(1)), [rows, ...data.shape.slice(1)]));
    const tensors = { q: await part(q), scales: await part(scales), ...(zeros && { zeros: await part(zeros) }) };
    const values = new Float32Array(rows * columns);
    dequantizeRows(tensors, { rows, blocks, block, columns }, values);
    if (scales.dtype === 'f32') return new Uint8Array(values.buffer);
    const bytes = new Uint8Array(rows * rowBytes);
    codec.encode(values, 0, values.length, bytes);
    return bytes;
  };
  return {
    dtype: scales.dtype,
    shape: [total, columns],
    byteLength,
    ...(q.from && { from: q.from }),
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      const step = Math.max(2, Math.floor(CHUNK_BYTES / rowBytes / 2) * 2);
      for (let first = Math.floor(begin / rowBytes / 2) * 2; first * rowBytes < end; first += step) {
        const last = Math.min(total, first + step, Math.ceil(end / rowBytes / 2) * 2);
        const bytes = await readSome(first, last - first);
        const from = Math.max(0, begin - first * rowBytes);
        const to = Math.min(bytes.byteLength, end - first * rowBytes);
        for (let at = from; at < to; at += maxBytes) yield bytes.slice(at, Math.min(at + maxBytes, to));
      }
    },
  };
}
