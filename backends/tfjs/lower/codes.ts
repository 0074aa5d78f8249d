import { dtypes, type DType } from '../../../ir/dtypes/index.ts';
import { signBits } from '../../../ir/formats/index.ts';
import { elementCount, readTensor, type TensorData } from '../../../ir/tensor.ts';
import { castData } from '../../../ir/views/cast.ts';

/** Codes as unsigned bytes, and what to add to get the code back. */
export interface ByteCodes {
  readonly data: TensorData;
  readonly min: number;
}

const bytes = new WeakMap<TensorData, ByteCodes>();

/** One byte a code: what the stock loader makes floats of (`code · 1 + min`, exact). */
export function byteCodes(data: TensorData): ByteCodes {
  const known = bytes.get(data) ?? make(data);
  bytes.set(data, known);
  return known;
}

function make(data: TensorData): ByteCodes {
  if (signBits(data.dtype) === 0) return { data: castData(data, 'u8'), min: 0 };
  return { data: flipped(castData(data, 'i8'), 'u8'), min: -128 };
}

const words = new WeakMap<TensorData, TensorData>();

/**
 * Codes of rows [N, blocks, block] as the packed op reads them: int32 words of unsigned codes, lowest bits first, every
 * row filled up to whole words. Bytes are those of the IR but for the sign.
 */
export function packedRows(data: TensorData): TensorData {
  const known = words.get(data) ?? packRows(data);
  words.set(data, known);
  return known;
}

function packRows(data: TensorData): TensorData {
  const rows = data.shape[0]!;
  const rowBits = (data.byteLength * 8) / rows;
  if (rowBits % 32 !== 0) throw new RangeError(`rows of ${rowBits} bits are no whole words`);
  const unsigned = signBits(data.dtype) === 0 ? data : flipped(data, data.dtype === 'i4' ? 'u4' : 'u8');
  return { ...unsigned, dtype: 'i32', shape: [rows, rowBits / 32] };
}

/** Zero points of any shape as words in order, filled up to a whole one. They are few: held. */
export async function packedZeros(data: TensorData): Promise<Int32Array> {
  const { bits } = dtypes[data.dtype];
  const { data: values } = await readTensor(data);
  const out = new Uint32Array(Math.ceil((values.length * bits) / 32));
  const offset = signBits(data.dtype) === 0 ? 0 : 2 ** (bits - 1);
  for (let i = 0; i < values.length; i++)
    out[Math.floor((i * bits) / 32)]! |= (values[i]! + offset) << ((i * bits) % 32);
  return new Int32Array(out.buffer);
}

const zeroWords = new WeakMap<TensorData, TensorData>();

/** The same as a tensor that is read when it is asked for. */
export function packedZerosData(data: TensorData): TensorData {
  const known = zeroWords.get(data) ?? packZeros(data);
  zeroWords.set(data, known);
  return known;
}

function packZeros(data: TensorData): TensorData {
  const { bits } = dtypes[data.dtype];
  const count = Math.ceil((elementCount(data.shape) * bits) / 32);
  return {
    dtype: 'i32',
    shape: [count],
    byteLength: 4 * count,
    ...(data.from && { from: data.from }),
    async *chunks({ begin = 0, end = 4 * count, maxBytes = 4 * count } = {}) {
      const all = new Uint8Array((await packedZeros(data)).buffer);
      const step = Math.max(8, maxBytes & ~7);
      for (let at = begin; at < end; at += step) yield all.slice(at, Math.min(end, at + step));
    },
  };
}

/** Two's complement to the same order from 0: the highest bit of each code flips. */
function flipped(data: TensorData, dtype: DType): TensorData {
  const mask = signBits(data.dtype);
  return {
    ...data,
    dtype,
    async *chunks(options) {
      for await (const chunk of data.chunks(options)) {
        for (let i = 0; i < chunk.length; i++) chunk[i]! ^= mask;
        yield chunk;
      }
    },
  };
}
