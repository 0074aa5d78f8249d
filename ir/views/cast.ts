import { bf16BitsFromF32Bits } from '../dtypes/bf16.ts';
import { f16BitsFromF32Bits, f16FromBits } from '../dtypes/f16.ts';
import { byteLengthOf, dtypes, type DType } from '../dtypes/index.ts';
import { CHUNK_BYTES, elementCount, readRange, type TensorData } from '../tensor.ts';

/** Converts `count` elements of the source dtype; returns bytes of the target dtype. */
type CastKernel = (source: Uint8Array, count: number) => Uint8Array;

/** Each element rounded to `dtype`. f16 overflow becomes ±Infinity here: whoever writes the bytes looks for it. */
export function castData(data: TensorData, dtype: DType): TensorData {
  const origin = widenedFrom.get(data);
  if (origin) return castData(origin, dtype);
  if (data.dtype === dtype) return data;
  const fromBits = dtypes[data.dtype].bits;
  const toBits = dtypes[dtype].bits;
  const byteLength = byteLengthOf(dtype, elementCount(data.shape));
  const view: TensorData = {
    dtype,
    shape: data.shape,
    byteLength,
    ...(data.from && { from: data.from }),
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      const toSource = (bytes: number) => (bytes / toBits) * fromBits;
      const kernel = kernelFor(data.dtype, dtype);
      const range = { begin: toSource(begin), end: Math.min(toSource(end), data.byteLength), maxBytes: Math.max(8, Math.min(CHUNK_BYTES, toSource(maxBytes))) };
      for await (const chunk of data.chunks(range)) yield kernel(chunk, (chunk.byteLength * 8) / fromBits);
    },
  };
  if (dtype === 'f32' && toBits > fromBits && dtypes[data.dtype].kind === 'float') widenedFrom.set(view, data);
  return view;
}

/** Exact widenings and what they widen: a cast of one goes straight back to the source, in one step. */
const widenedFrom = new WeakMap<TensorData, TensorData>();

function kernelFor(from: DType, to: DType): CastKernel {
  if (from === 'bf16' && to === 'f16') return table16((bits) => f16BitsFromF32Bits(bits << 16));
  if (from === 'f16' && to === 'bf16') return table16((bits) => bf16BitsFromF32Bits(f32Bits(f16FromBits(bits))));
  if (from === 'f32' && to === 'f16') return narrow(f16BitsFromF32Bits);
  if (from === 'f32' && to === 'bf16') return narrow(bf16BitsFromF32Bits);
  if (from === 'bf16' && to === 'f32') return widen((bits) => bits << 16);
  if (from === 'f16' && to === 'f32') return widen((bits) => f32Bits(f16FromBits(bits)));
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

/** 16 → 16 bits through a table of all 65,536 patterns, in place: the chunk is ours. */
function table16(map: (bits: number) => number): CastKernel {
  const table = Uint16Array.from({ length: 65536 }, (_, bits) => map(bits));
  return (source, count) => {
    const bytes = aligned(source, 2);
    const words = new Uint16Array(bytes.buffer, bytes.byteOffset, count);
    for (let i = 0; i < count; i++) words[i] = table[words[i]!]!;
    return bytes;
  };
}

function widen(map: (bits: number) => number): CastKernel {
  const table = Uint32Array.from({ length: 65536 }, (_, bits) => map(bits));
  return (source, count) => {
    const bytes = aligned(source, 2);
    const words = new Uint16Array(bytes.buffer, bytes.byteOffset, count);
    const out = new Uint32Array(count);
    for (let i = 0; i < count; i++) out[i] = table[words[i]!]!;
    return new Uint8Array(out.buffer);
  };
}

function narrow(map: (bits: number) => number): CastKernel {
  return (source, count) => {
    const bytes = aligned(source, 4);
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, count);
    const out = new Uint16Array(count);
    for (let i = 0; i < count; i++) out[i] = map(words[i]!);
    return new Uint8Array(out.buffer);
  };
}
