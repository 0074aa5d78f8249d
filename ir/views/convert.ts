import { bf16BitsFromF32Bits } from '../dtypes/bf16.ts';
import { f16BitsFromF32Bits, f16FromBits } from '../dtypes/f16.ts';
import { byteLengthOf, dtypes, type DType } from '../dtypes/index.ts';
import {
  CHUNK_BYTES,
  directReadOf,
  elementCount,
  readRange,
  rememberDirectRead,
  type DirectRead,
  type TensorData,
} from '../tensor.ts';

/** Converts `count` elements of the source dtype; returns bytes of the target dtype. May reuse the source's memory. */
export type Kernel = (source: Uint8Array, count: number) => Uint8Array;

/** What conversions read. */
const unconverted = new WeakMap<TensorData, TensorData>();

/** The data whose elements `convertedData` rounds to make this; undefined when it made none of it. */
export function beforeConversion(data: TensorData): TensorData | undefined {
  return unconverted.get(data);
}

/** Each element of `data` rounded to `dtype`, under `shape`. */
export function convertedData(data: TensorData, dtype: DType, shape: readonly number[]): TensorData {
  const count = elementCount(shape);
  const byteLength = byteLengthOf(dtype, count);
  const fromBits = dtypes[data.dtype].bits;
  const toBits = dtypes[dtype].bits;
  const converted: TensorData = {
    dtype,
    shape,
    byteLength,
    ...(data.from && { from: data.from }),
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      const kernel = kernelFor(data.dtype, dtype);
      const first = (begin * 8) / toBits;
      let left = Math.min((end * 8) / toBits, count) - first;
      if (left <= 0) return;
      // A 4-bit source may have to be entered in the middle of a byte.
      const sourceBegin = Math.floor((first * fromBits) / 8);
      let skip = first - (sourceBegin * 8) / fromBits;
      const sourceEnd = byteLengthOf(data.dtype, first + left);
      const sourceBytes = Math.max(8, Math.min(CHUNK_BYTES, Math.floor((maxBytes * fromBits) / toBits)));
      const source = data.chunks({ begin: sourceBegin, end: sourceEnd, maxBytes: sourceBytes });
      for await (const chunk of toBits < 8 && fromBits >= 8 ? wholePairs(source, (2 * fromBits) / 8) : source) {
        const elements = Math.min((chunk.byteLength * 8) / fromBits, skip + left);
        const bytes = kernel(chunk, elements);
        const usable = skip === 0 ? bytes : bytes.slice((skip * toBits) / 8);
        left -= elements - skip;
        skip = 0;
        if (usable.byteLength <= maxBytes) yield usable;
        else for (let at = 0; at < usable.byteLength; at += maxBytes) yield usable.slice(at, at + maxBytes);
      }
    },
  };
  unconverted.set(converted, data);
  const direct = directReadOf(data);
  const table = direct && dtype === 'f32' ? wideningOf(data.dtype) : undefined;
  if (direct && table) rememberDirectRead(converted, widenedRead(direct, table));
  return converted;
}

/** The same bytes in chunks of whole pairs, so that two 4-bit results fill a byte; the last may hold an odd element. */
async function* wholePairs(chunks: AsyncIterable<Uint8Array>, pair: number): AsyncIterable<Uint8Array> {
  let rest = new Uint8Array(0);
  for await (const chunk of chunks) {
    const all = new Uint8Array(rest.byteLength + chunk.byteLength);
    all.set(rest);
    all.set(chunk, rest.byteLength);
    const whole = all.byteLength - (all.byteLength % pair);
    rest = all.slice(whole);
    if (whole > 0) yield all.slice(0, whole);
  }
  if (rest.byteLength > 0) yield rest;
}

/** Kernels with a table of 65,536 entries are made once. */
const kernels = new Map<string, Kernel>();

function kernelFor(from: DType, to: DType): Kernel {
  const key = `${from} to ${to}`;
  const kernel = kernels.get(key) ?? makeKernel(from, to);
  kernels.set(key, kernel);
  return kernel;
}

/** From now on these casts are done by kernels that give the same bytes faster (ir/quantize/kernels/casts.js). */
export function useCastKernels(casts: Readonly<Partial<Record<`${DType} to ${DType}`, Kernel>>>): void {
  for (const [key, kernel] of Object.entries(casts)) kernels.set(key, kernel);
}

function makeKernel(from: DType, to: DType): Kernel {
  if (from === 'bf16' && to === 'f16') return table16((bits) => f16BitsFromF32Bits(bits << 16));
  if (from === 'f16' && to === 'bf16') return table16((bits) => bf16BitsFromF32Bits(f32Bits(f16FromBits(bits))));
  if (from === 'f32' && to === 'f16') return narrowToF16;
  if (from === 'f32' && to === 'bf16') return narrowToBf16;
  if (from === 'bf16' && to === 'f32') return widen(wideningOf('bf16')!);
  if (from === 'u8' && to === 'u4') return packNibbles;
  if (from === 'f16' && to === 'f32') return widen(wideningOf('f16')!);
  return (source, count) => {
    const values = dtypes[from].allocate(count);
    dtypes[from].decode(source, count, values, 0);
    const out = new Uint8Array(byteLengthOf(to, count));
    dtypes[to].encode(values, 0, count, out);
    return out;
  };
}

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);
function f32Bits(x: number): number {
  float[0] = x;
  return word[0]!;
}

/** An aligned copy only when the chunk is not aligned already. */
function aligned(bytes: Uint8Array, size: number): Uint8Array {
  return bytes.byteOffset % size === 0 ? bytes : bytes.slice();
}

/** 16 → 16 bits, in place: the chunk is ours. */
function table16(map: (bits: number) => number): Kernel {
  const table = Uint16Array.from({ length: 65536 }, (_, bits) => map(bits));
  return (source, count) => {
    const bytes = aligned(source, 2);
    const words = new Uint16Array(bytes.buffer, bytes.byteOffset, count);
    for (let i = 0; i < count; i++) words[i] = table[words[i]!]!;
    return bytes.subarray(0, 2 * count);
  };
}

/** Bits of f32 by those of a 16-bit float; undefined for other dtypes. Made once. */
function wideningOf(from: DType): Uint32Array | undefined {
  const map = { bf16: (bits: number) => bits << 16, f16: (bits: number) => f32Bits(f16FromBits(bits)) };
  if (from !== 'bf16' && from !== 'f16') return undefined;
  const known = widenings.get(from) ?? Uint32Array.from({ length: 65536 }, (_, bits) => map[from](bits));
  widenings.set(from, known);
  return known;
}
const widenings = new Map<DType, Uint32Array>();

/** Halves are read into the second half of the memory, and widened from the front on: none is written over unread. */
function widenedRead(direct: DirectRead, table: Uint32Array): DirectRead {
  return async (out, begin) => {
    const count = out.byteLength / 4;
    const isAligned = out.byteOffset % 4 === 0;
    const words = isAligned ? new Uint32Array(out.buffer, out.byteOffset, count) : new Uint32Array(count);
    const halves = new Uint16Array(words.buffer, words.byteOffset + 2 * count, count);
    await direct(new Uint8Array(halves.buffer, halves.byteOffset, 2 * count), begin / 2);
    for (let i = 0; i < count; i++) words[i] = table[halves[i]!]!;
    if (!isAligned) out.set(new Uint8Array(words.buffer));
  };
}

function widen(table: Uint32Array): Kernel {
  return (source, count) => {
    const bytes = aligned(source, 2);
    const words = new Uint16Array(bytes.buffer, bytes.byteOffset, count);
    const out = new Uint32Array(count);
    for (let i = 0; i < count; i++) out[i] = table[words[i]!]!;
    return new Uint8Array(out.buffer);
  };
}

/** Two loops rather than one with a function to call: each call is then inlined, which is 2 to 3 times faster. */
function narrowToF16(source: Uint8Array, count: number): Uint8Array {
  const bytes = aligned(source, 4);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, count);
  const out = new Uint16Array(count);
  for (let i = 0; i < count; i++) out[i] = f16BitsFromF32Bits(words[i]!);
  return new Uint8Array(out.buffer);
}

function narrowToBf16(source: Uint8Array, count: number): Uint8Array {
  const bytes = aligned(source, 4);
  const words = new Uint32Array(bytes.buffer, bytes.byteOffset, count);
  const out = new Uint16Array(count);
  for (let i = 0; i < count; i++) out[i] = bf16BitsFromF32Bits(words[i]!);
  return new Uint8Array(out.buffer);
}

/** Zero points of 4-bit codes: many, and the codecs take several times as long. */
function packNibbles(source: Uint8Array, count: number): Uint8Array {
  const out = new Uint8Array(Math.ceil(count / 2));
  for (let i = 0; i + 1 < count; i += 2) out[i >> 1] = Math.min(source[i]!, 15) | (Math.min(source[i + 1]!, 15) << 4);
  if (count % 2 === 1) out[count >> 1] = Math.min(source[count - 1]!, 15);
  return out;
}
