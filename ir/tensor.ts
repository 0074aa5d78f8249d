import { byteLengthOf, dtypes, type DType } from './dtypes/index.ts';
import type { NumberArray } from './dtypes/codec.ts';

/** Where bytes came from: for messages and for hashes. */
export interface Provenance {
  readonly file: string;
  readonly key: string;
  /** Offset of the first payload byte in the file, or in the inflated member for deflated ones. */
  readonly byteOffset: number;
}

export interface ReadOptions {
  /** First byte, default 0. A multiple of the element size. */
  readonly begin?: number;
  /** One past the last byte, default byteLength. */
  readonly end?: number;
  /**
   * Upper bound of one chunk in bytes, at least 8; default 4 MiB. Rounded down to a multiple of 8, so that chunks hold
   * whole elements.
   */
  readonly maxBytes?: number;
}

/**
 * Weight bytes, read only when asked for: little-endian, C order, packed.
 * The consumer owns each chunk (it may transfer its buffer); chunks hold whole elements and come in order.
 */
export interface TensorData {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly byteLength: number;
  readonly from?: Provenance;
  chunks(options?: ReadOptions): AsyncIterable<Uint8Array>;
}

/** Small enough to keep the pipeline in cache, large enough to make each read cheap. */
export const CHUNK_BYTES = 4 * 1024 * 1024;

/** No read makes larger chunks, whatever it is asked for. */
const LARGEST_CHUNK = 1024 * 1024 * 1024;

/** Elements of a shape. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((n, d) => n * d, 1);
}

/** Decoded elements with their type: what the evaluator computes with and what runners exchange. */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: NumberArray;
}

/** A tensor of `values`, each rounded to the dtype. */
export function tensorOf(dtype: DType, shape: readonly number[], values: ArrayLike<number>): Tensor {
  const count = elementCount(shape);
  if (values.length !== count) throw new RangeError(`${values.length} values for shape [${shape.join(', ')}]`);
  const codec = dtypes[dtype];
  const data = codec.allocate(count);
  for (let i = 0; i < count; i++) data[i] = codec.round(values[i]!);
  return { dtype, shape, data };
}

/** The bounds of a read. @throws RangeError when they do not lie in the tensor: every reader goes through here. */
export function readRange(
  byteLength: number,
  options: ReadOptions = {},
): { begin: number; end: number; maxBytes: number } {
  const { begin = 0, end = byteLength, maxBytes = CHUNK_BYTES } = options;
  if (!Number.isSafeInteger(begin) || !Number.isSafeInteger(end) || begin < 0 || begin > end || end > byteLength)
    throw new RangeError(`bytes ${begin}..${end} of a tensor of ${byteLength} bytes`);
  if (!(maxBytes >= 8)) throw new RangeError(`chunks of ${maxBytes} bytes: at least 8`);
  return { begin, end, maxBytes: Math.min(maxBytes, LARGEST_CHUNK) & ~7 };
}

/** Bytes already in memory. */
export function bytesData(dtype: DType, shape: readonly number[], bytes: Uint8Array, from?: Provenance): TensorData {
  const byteLength = byteLengthOf(dtype, elementCount(shape));
  if (bytes.byteLength !== byteLength)
    throw new RangeError(`${bytes.byteLength} bytes for ${dtype}[${shape.join(', ')}] (${byteLength} bytes)`);
  return {
    dtype,
    shape,
    byteLength,
    ...(from && { from }),
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      for (let at = begin; at < end; at += maxBytes) yield bytes.slice(at, Math.min(at + maxBytes, end));
    },
  };
}

/** Encodes decoded elements. */
export function tensorData(tensor: Tensor): TensorData {
  const bytes = new Uint8Array(byteLengthOf(tensor.dtype, tensor.data.length));
  dtypes[tensor.dtype].encode(tensor.data, 0, tensor.data.length, bytes);
  return bytesData(tensor.dtype, tensor.shape, bytes);
}

/** All bytes of a range in one array: for tensors that are meant to be held. */
export async function readBytes(data: TensorData, options?: ReadOptions): Promise<Uint8Array> {
  const { begin, end } = readRange(data.byteLength, options);
  const out = new Uint8Array(end - begin);
  await readInto(data, out, options);
  return out;
}

/** Reads bytes [begin, begin + out.byteLength) of a tensor into `out`. */
export type DirectRead = (out: Uint8Array, begin: number) => Promise<void>;

const directReads = new WeakMap<TensorData, DirectRead>();

/**
 * Says how the bytes of `data` are read into memory that is there: no chunks between, whose memory a large weight costs
 * more than its bytes.
 */
export function rememberDirectRead(data: TensorData, read: DirectRead): TensorData {
  directReads.set(data, read);
  return data;
}

/** Undefined for data of which there are only chunks. */
export function directReadOf(data: TensorData): DirectRead | undefined {
  return directReads.get(data);
}

/** The same into memory that is there already. @throws RangeError when other than `out.byteLength` bytes come. */
export async function readInto(data: TensorData, out: Uint8Array, options?: ReadOptions): Promise<void> {
  const direct = directReadOf(data);
  if (direct) {
    const { begin, end } = readRange(data.byteLength, options);
    if (end - begin !== out.byteLength) throw new RangeError(`${end - begin} bytes for ${out.byteLength}`);
    return direct(out, begin);
  }
  let at = 0;
  for await (const chunk of data.chunks(options)) {
    out.set(chunk, at);
    at += chunk.byteLength;
  }
  if (at !== out.byteLength) throw new RangeError(`${at} bytes came for ${out.byteLength}`);
}

/** Decodes a whole tensor. */
export async function readTensor(data: TensorData): Promise<Tensor> {
  return decodeInto(data, {}, [...data.shape]);
}

/** Decodes rows [begin, end) of the first axis. */
export async function readRows(data: TensorData, begin: number, end: number): Promise<Tensor> {
  const rowBytes = data.byteLength / (data.shape[0] || 1);
  return decodeInto(data, { begin: begin * rowBytes, end: end * rowBytes }, [end - begin, ...data.shape.slice(1)]);
}

async function decodeInto(data: TensorData, options: ReadOptions, shape: readonly number[]): Promise<Tensor> {
  const codec = dtypes[data.dtype];
  const out = codec.allocate(elementCount(shape));
  let at = 0;
  for await (const chunk of data.chunks(options)) {
    const count = Math.min((chunk.byteLength * 8) / codec.bits, out.length - at);
    codec.decode(chunk, count, out, at);
    at += count;
  }
  return { dtype: data.dtype, shape, data: out };
}
