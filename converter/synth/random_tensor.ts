import { byteLengthOf, dtypes, type DType } from '../../ir/dtypes/index.ts';
import { elementCount, readRange, type TensorData } from '../../ir/tensor.ts';

/** Elements that share one random stream: any range can be made without what precedes it. */
const BLOCK = 1 << 16;
/** Values are drawn from a table of this many: 16 random bits pick one. */
const TABLE = 1 << 16;

export interface Distribution {
  readonly mean: number;
  readonly std: number;
}
type Words = Uint16Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/**
 * Normally distributed values made as they are read: the same bytes for the same seed, whatever the ranges asked for.
 */
export function randomTensor(
  dtype: 'f32' | 'f16' | 'bf16',
  shape: readonly number[],
  distribution: Distribution,
  seed: number,
): TensorData {
  const count = elementCount(shape);
  const byteLength = byteLengthOf(dtype, count);
  const size = dtypes[dtype].bits / 8;
  return {
    dtype,
    shape,
    byteLength,
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      const table = normalTable(dtype, distribution);
      const block = size === 2 ? new Uint16Array(BLOCK) : new Uint32Array(BLOCK);
      let filled = -1;
      for (let at = begin; at < end;) {
        const stop = Math.min(end, at + maxBytes);
        const chunk = size === 2 ? new Uint16Array((stop - at) / size) : new Uint32Array((stop - at) / size);
        for (let i = 0; i < chunk.length;) {
          const element = at / size + i;
          const index = Math.floor(element / BLOCK);
          if (index !== filled) fillBlock(block, table, mix(seed, index));
          filled = index;
          const offset = element % BLOCK;
          const part = block.subarray(offset, Math.min(BLOCK, offset + chunk.length - i));
          chunk.set(part, i);
          i += part.length;
        }
        yield new Uint8Array(chunk.buffer);
        at = stop;
      }
    },
  };
}

/** xorshift32 (Marsaglia 2003): each word gives two table entries. */
function fillBlock(block: Words, table: Words, seed: number): void {
  let state = seed;
  for (let i = 0; i < BLOCK; i += 2) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    block[i] = table[state & 0xffff]!;
    block[i + 1] = table[state >>> 16]!;
  }
}

/** A nonzero 32-bit seed from two numbers (the finalizer of MurmurHash3). */
function mix(a: number, b: number): number {
  let h = Math.imul(a + 1, 0x9e3779b1) ^ Math.imul(b + 1, 0x85ebca77);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0 || 1;
}

const tables = new Map<string, Words>();

/** TABLE encoded draws by Box and Muller's transform. */
function normalTable(dtype: DType, { mean, std }: Distribution): Words {
  const key = `${dtype} ${mean} ${std}`;
  const known = tables.get(key);
  if (known) return known;
  let state = 0x2545f491;
  const uniform = () => {
    state = mix(state, 1);
    return (state + 0.5) / 2 ** 32;
  };
  const values = Float64Array.from(
    { length: TABLE },
    () => mean + std * Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
  const bytes = new Uint8Array(byteLengthOf(dtype, TABLE));
  dtypes[dtype].encode(values, 0, TABLE, bytes);
  const table = dtypes[dtype].bits === 16 ? new Uint16Array(bytes.buffer) : new Uint32Array(bytes.buffer);
  tables.set(key, table);
  return table;
}
