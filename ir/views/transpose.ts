import { dtypes } from '../dtypes/index.ts';
import { elementCount, readBytes, readRange, type TensorData } from '../tensor.ts';

/** Side of the square block that is moved at once, in elements: source and target lines of a block stay in cache. */
const BLOCK = 64;

/**
 * `data.transpose(perm)`. Leading axes that stay in place are streamed one index at a time; what is left must be held
 * whole once: one 2-D matrix for every layout of a PaliGemma checkpoint.
 */
export function transposeData(data: TensorData, perm: readonly number[]): TensorData {
  const rank = data.shape.length;
  if (perm.length !== rank || [...perm].sort((a, b) => a - b).some((axis, i) => axis !== i))
    throw new RangeError(`[${perm.join(', ')}] is no permutation of ${rank} axes`);
  if (dtypes[data.dtype].bits < 8) throw new RangeError(`${data.dtype} elements share bytes and cannot be transposed`);
  let fixed = 0;
  while (fixed < rank && perm[fixed] === fixed) fixed++;
  const shape = perm.map((axis) => data.shape[axis]!);
  if (fixed >= rank - 1) return data;
  const inner = data.shape.slice(fixed);
  const innerPerm = perm.slice(fixed).map((axis) => axis - fixed);
  const innerBytes = data.byteLength / Math.max(1, elementCount(data.shape.slice(0, fixed)));
  return {
    dtype: data.dtype,
    shape,
    byteLength: data.byteLength,
    ...(data.from && { from: data.from }),
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(data.byteLength, options);
      for (let at = begin; at < end; ) {
        const index = Math.floor(at / innerBytes);
        const base = index * innerBytes;
        const source = await readBytes(data, { begin: base, end: base + innerBytes });
        const stop = Math.min(end, base + innerBytes);
        for (; at < stop; at += maxBytes) {
          const size = dtypes[data.dtype].bits / 8;
          yield permuteBytes(source, inner, innerPerm, size, (at - base) / size, Math.min(maxBytes, stop - at) / size);
        }
        at = stop;
      }
    },
  };
}

/** Elements [first, first + count) of the transposed array, in its C order. */
function permuteBytes(source: Uint8Array, shape: readonly number[], perm: readonly number[], size: number, first: number, count: number): Uint8Array {
  const out = new Uint8Array(count * size);
  const strides = shape.map((_, i) => elementCount(shape.slice(i + 1)));
  const outShape = perm.map((axis) => shape[axis]!);
  const outStrides = perm.map((axis) => strides[axis]!);
  const src = wordsOf(source, size);
  const dst = wordsOf(out, size);
  const rowLength = outShape.at(-1)!;
  const rowStride = outStrides.at(-1)!;
  const firstRow = Math.floor(first / rowLength);
  const lastRow = Math.ceil((first + count) / rowLength);
  for (let rowBlock = firstRow; rowBlock < lastRow; rowBlock += BLOCK) {
    const rows = Math.min(BLOCK, lastRow - rowBlock);
    const starts = new Float64Array(rows);
    for (let r = 0; r < rows; r++) starts[r] = rowStart(rowBlock + r, outShape, outStrides);
    for (let columnBlock = 0; columnBlock < rowLength; columnBlock += BLOCK) {
      const columnEnd = Math.min(columnBlock + BLOCK, rowLength);
      for (let r = 0; r < rows; r++) {
        const outRow = (rowBlock + r) * rowLength - first;
        const from = Math.max(columnBlock, -outRow);
        const to = Math.min(columnEnd, count - outRow);
        for (let c = from, at = starts[r]! + from * rowStride; c < to; c++, at += rowStride) dst[outRow + c] = src[at]!;
      }
    }
  }
  return out;
}

/** Offset in the source of the first element of row `row` of the transposed array. */
function rowStart(row: number, outShape: readonly number[], outStrides: readonly number[]): number {
  let offset = 0;
  for (let axis = outShape.length - 2, rest = row; axis >= 0; axis--) {
    offset += (rest % outShape[axis]!) * outStrides[axis]!;
    rest = Math.floor(rest / outShape[axis]!);
  }
  return offset;
}

function wordsOf(bytes: Uint8Array, size: number): Uint8Array | Uint16Array | Uint32Array | Float64Array {
  const Words = ({ 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: Float64Array } as const)[size as 1 | 2 | 4 | 8];
  return new Words(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / size);
}
