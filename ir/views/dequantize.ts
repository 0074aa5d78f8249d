import { byteLengthOf, dtypes } from '../dtypes/index.ts';
import { formats, middleOf, type FormatName } from '../formats/index.ts';
import { giveBack, takeF32 } from '../scratch.ts';
import {
  CHUNK_BYTES,
  elementCount,
  readBytes,
  readRange,
  readTensor,
  rememberDirectRead,
  type Tensor,
  type TensorData,
} from '../tensor.ts';
import { windowOf } from './window.ts';

/** Codes that are decoded at once where rows are read into memory that is there. */
const DIRECT_CODES = 1024 * 1024;

/** Codes q[..., blocks, block] of a format with their scales and zero points [..., blocks]. */
export interface Quantized<T> {
  readonly format: FormatName;
  readonly q: T;
  readonly scales: T;
  readonly zeros?: T;
}

/** Some blocks one after the other, in rows of `blocks`: `columns` of a row's `blocks` · `block` elements are meant. */
export interface BlockRange {
  /** Its number in the matrix: where in a row it begins. */
  readonly first: number;
  readonly count: number;
  readonly blocks: number;
  readonly block: number;
  readonly columns: number;
}

/** What the codes of a range of blocks mean, one after the other into `out`, without what fills rows up. */
export function dequantizedValues(
  { format, q, scales, zeros }: Quantized<Tensor>,
  { first, count, blocks, block, columns }: BlockRange,
  out: Float64Array | Float32Array,
): void {
  const { codebook } = formats[format];
  const middle = middleOf(q.dtype);
  for (let b = 0, to = 0; b < count; b++) {
    const scale = scales.data[b]!;
    const zero = zeros ? zeros.data[b]! : middle;
    const meant = Math.min(block, columns - ((first + b) % blocks) * block);
    const from = b * block;
    if (codebook) for (let i = 0; i < meant; i++) out[to + i] = codebook[q.data[from + i]!]! * scale;
    else for (let i = 0; i < meant; i++) out[to + i] = (q.data[from + i]! - zero) * scale;
    to += meant;
  }
}

/**
 * What codes mean, in the dtype of the scales: made some blocks at a time when it is read. `shape` is that of the
 * result: [N, K] of codes [N, blocks, block], or of codes [blocks, block] that run on across the ends of rows
 * (`Blocks.over`), which are those of one row of N · K.
 */
export function dequantizedData(matrix: Quantized<TensorData>, shape: readonly number[]): TensorData {
  const { format, q, scales, zeros } = matrix;
  const [blocks, block] = q.shape.slice(-2) as [number, number];
  const total = elementCount(scales.shape);
  const columns = (elementCount(shape) * blocks) / total;
  const codec = dtypes[scales.dtype];
  const size = codec.bits / 8;
  const byteLength = byteLengthOf(scales.dtype, elementCount(shape));
  /** The first value of a block, by the number of the block. */
  const startOf = (b: number) => Math.floor(b / blocks) * columns + (b % blocks) * block;
  const blockOf = (value: number) => Math.floor(value / columns) * blocks + Math.floor((value % columns) / block);
  const readSome = async (first: number, count: number): Promise<Uint8Array> => {
    const part = (data: TensorData, each: number) => readTensor(windowOf(data, first * each, [count * each]));
    const tensors = {
      format,
      q: await part(q, block),
      scales: await part(scales, 1),
      ...(zeros && { zeros: await part(zeros, 1) }),
    };
    const values = new Float32Array(startOf(first + count) - startOf(first));
    dequantizedValues(tensors, { first, count, blocks, block, columns }, values);
    if (scales.dtype === 'f32') return new Uint8Array(values.buffer);
    const bytes = new Uint8Array(values.length * size);
    codec.encode(values, 0, values.length, bytes);
    return bytes;
  };
  /** Whole rows, f32, without memory of their own for codes and values: these are most of a large matrix. */
  const readRowsInto = async (out: Float32Array, row: number): Promise<void> => {
    // pairs, as below
    const rows = 2 * Math.max(1, Math.floor(DIRECT_CODES / (2 * blocks * block)));
    const total = out.length / columns;
    for (let done = 0; done < total; done += rows) {
      const [first, count] = [(row + done) * blocks, Math.min(rows, total - done) * blocks];
      const part = (data: TensorData, each: number) => windowOf(data, first * each, [count * each]);
      const codes = takeF32(count * block);
      try {
        dtypes[q.dtype].decode(await readBytes(part(q, block)), codes.length, codes, 0);
        const tensors = {
          format,
          q: { dtype: q.dtype, shape: [codes.length], data: codes },
          scales: await readTensor(part(scales, 1)),
          ...(zeros && { zeros: await readTensor(part(zeros, 1)) }),
        };
        const values = out.subarray(done * columns, (done + count / blocks) * columns);
        dequantizedValues(tensors, { first, count, blocks, block, columns }, values);
      } finally {
        giveBack(codes);
      }
    }
  };
  const most = CHUNK_BYTES / (block * size);
  // whole rows where they are not too long, and always pairs: an odd number of 4-bit zero points ends within a byte
  const unit = 2 * blocks <= most ? 2 * blocks : 2;
  const step = Math.max(1, Math.floor(most / unit)) * unit;
  const data: TensorData = {
    dtype: scales.dtype,
    shape,
    byteLength,
    ...(q.from && { from: q.from }),
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      if (begin === end) return;
      const last = blockOf(Math.ceil(end / size) - 1) + 1;
      for (let first = Math.floor(blockOf(Math.floor(begin / size)) / unit) * unit; first < last; first += step) {
        const bytes = await readSome(first, Math.min(step, total - first, last - first));
        const start = startOf(first) * size;
        const to = Math.min(bytes.byteLength, end - start);
        for (let at = Math.max(0, begin - start); at < to; at += maxBytes)
          yield bytes.slice(at, Math.min(at + maxBytes, to));
      }
    },
  };
  if (scales.dtype !== 'f32') return data;
  return rememberDirectRead(data, async (out, begin) => {
    const row = begin / (4 * columns);
    const isWhole = Number.isInteger(row) && out.byteLength % (4 * columns) === 0 && out.byteOffset % 4 === 0;
    const beginsByte = !zeros || (row * blocks * dtypes[zeros.dtype].bits) % 8 === 0;
    if (isWhole && beginsByte)
      return readRowsInto(new Float32Array(out.buffer, out.byteOffset, out.byteLength / 4), row);
    let at = 0;
    for await (const chunk of data.chunks({ begin, end: begin + out.byteLength })) {
      out.set(chunk, at);
      at += chunk.byteLength;
    }
  });
}
