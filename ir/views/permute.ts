import { dtypes } from '../dtypes/index.ts';
import { elementCount, readInto, readRange, type TensorData } from '../tensor.ts';

type Words = Uint8Array | Uint16Array | Uint32Array;

/** A permutation without what changes nothing: axes of size 1 are gone, axes that stay neighbours are one. */
export interface Permutation {
  readonly shape: readonly number[];
  readonly perm: readonly number[];
}

/** Rows shorter than this, in elements, are copied in a loop: a call of set costs more. */
const SHORT_ROW = 32;
/** Source rows that are read together: their elements become neighbours, so each target line is written at once. */
const LANES = 8;
/** Largest matrix whose memory is kept for the next: every one of a 3B checkpoint in 16 bits. */
const KEPT_BYTES = 128 * 1024 * 1024;
/** Side of the square block of the general case: source and target lines of a block stay in cache. */
const BLOCK = 64;

/** The same permutation on the fewest axes: those of size 1 left out, those that stay together joined. */
export function simplifyPermutation(shape: readonly number[], perm: readonly number[]): Permutation {
  const runs: number[][] = [];
  for (const axis of perm.filter((a) => shape[a] !== 1)) {
    const run = runs.at(-1);
    const previous = run?.at(-1);
    const isNext = previous !== undefined && shape.slice(previous + 1, axis).every((d) => d === 1) && previous < axis;
    if (isNext) run!.push(axis);
    else runs.push([axis]);
  }
  const order = runs.map((run) => run[0]!).toSorted((a, b) => a - b);
  const sizeOf = (first: number) => elementCount(runs.find((run) => run[0] === first)!.map((axis) => shape[axis]!));
  return { shape: order.map(sizeOf), perm: runs.map((run) => order.indexOf(run[0]!)) };
}

/**
 * The bytes of `data` permuted, under `shape`. Leading axes that stay in place are streamed one index at a time; what
 * is left is held whole once: one 2-D matrix for every layout of a PaliGemma checkpoint.
 */
export function permutedData(data: TensorData, permutation: Permutation, shape: readonly number[]): TensorData {
  const bits = dtypes[data.dtype].bits;
  if (bits < 8) throw new RangeError(`${data.dtype} elements share bytes and cannot be transposed`);
  const steady = permutation.perm.findIndex((axis, i) => axis !== i);
  const fixed = steady < 0 ? permutation.perm.length : steady;
  const inner: Permutation = {
    shape: permutation.shape.slice(fixed),
    perm: permutation.perm.slice(fixed).map((axis) => axis - fixed),
  };
  const innerBytes = (elementCount(inner.shape) * bits) / 8;
  const rowBytes = ((inner.shape[inner.perm.at(-1)!] ?? 1) * bits) / 8;
  return {
    dtype: data.dtype,
    shape,
    byteLength: data.byteLength,
    ...(data.from && { from: data.from }),
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(data.byteLength, options);
      const size = maxBytes > rowBytes ? maxBytes - (maxBytes % rowBytes) : maxBytes;
      const matrix = takeMatrix(begin < end ? innerBytes : 0);
      try {
        for (let at = begin; at < end;) {
          const base = Math.floor(at / innerBytes) * innerBytes;
          const stop = Math.min(end, base + innerBytes);
          await readInto(data, matrix, { begin: base, end: base + innerBytes });
          for (; at < stop; at += size)
            yield permuteBytes(matrix, inner, bits / 8, at - base, Math.min(size, stop - at));
          at = stop;
        }
      } finally {
        keepMatrix(matrix);
      }
    },
  };
}

/** The memory of the last matrix, for the next one: fresh pages cost several times what the transpose does. */
let spare = new Uint8Array(0);

function takeMatrix(byteLength: number): Uint8Array {
  const memory = spare.byteLength >= byteLength ? spare : new Uint8Array(byteLength);
  spare = new Uint8Array(0);
  return memory.subarray(0, byteLength);
}

function keepMatrix(matrix: Uint8Array): void {
  const { buffer } = matrix;
  if (buffer.byteLength > spare.byteLength && buffer.byteLength <= KEPT_BYTES)
    spare = new Uint8Array(buffer as ArrayBuffer);
}

/** Bytes [first, first + length) of the permuted array. */
function permuteBytes(
  source: Uint8Array,
  { shape, perm }: Permutation,
  size: number,
  first: number,
  length: number,
): Uint8Array {
  const out = new Uint8Array(length);
  // Elements of 8 bytes are rows of two words: as Float64Array their NaN patterns might change.
  const word = size === 8 ? 4 : size;
  const axes = size === 8 ? { shape: [...shape, 2], perm: [...perm, perm.length] } : { shape, perm };
  permuteWords(wordsOf(source, word), wordsOf(out, word), axes, first / word);
  return out;
}

function permuteWords(src: Words, dst: Words, { shape, perm }: Permutation, first: number): void {
  const rank = shape.length;
  const strides = shape.map((_, i) => elementCount(shape.slice(i + 1)));
  const outShape = perm.map((axis) => shape[axis]!);
  const outStrides = perm.map((axis) => strides[axis]!);
  if (perm[rank - 1] === rank - 1) copyRows(src, dst, outShape, outStrides, first);
  else if (rank === 2 && perm[0] === 1) transposeMatrix(src, dst, shape[0]!, shape[1]!, first);
  else copyStrided(src, dst, outShape, outStrides, first);
}

/** The last axis stays last: whole rows move. */
function copyRows(
  src: Words,
  dst: Words,
  outShape: readonly number[],
  outStrides: readonly number[],
  first: number,
): void {
  const length = outShape.at(-1)!;
  for (let at = 0, row = Math.floor(first / length), skip = first % length; at < dst.length; row++, skip = 0) {
    const from = rowStart(row, outShape, outStrides) + skip;
    const count = Math.min(length - skip, dst.length - at);
    if (count >= SHORT_ROW) dst.set(src.subarray(from, from + count), at);
    else for (let i = 0; i < count; i++) dst[at + i] = src[from + i]!;
    at += count;
  }
}

/**
 * src[rows, columns] transposed: elements [first, first + dst.length) of [columns, rows]. Whole target rows go the fast
 * way.
 */
function transposeMatrix(src: Words, dst: Words, rows: number, columns: number, first: number): void {
  const begin = Math.min(Math.ceil(first / rows), columns);
  const end = Math.floor((first + dst.length) / rows);
  if (begin >= end) return copyStrided(src, dst, [columns, rows], [1, columns], first);
  const lead = begin * rows - first;
  copyStrided(src, dst.subarray(0, lead), [columns, rows], [1, columns], first);
  const wholeRows = rows - (rows % LANES);
  for (let r = 0; r < wholeRows; r += LANES) {
    for (let c = begin, s = r * columns + begin, o = lead + r; c < end; c++, s++, o += rows) {
      dst[o] = src[s]!;
      dst[o + 1] = src[s + columns]!;
      dst[o + 2] = src[s + 2 * columns]!;
      dst[o + 3] = src[s + 3 * columns]!;
      dst[o + 4] = src[s + 4 * columns]!;
      dst[o + 5] = src[s + 5 * columns]!;
      dst[o + 6] = src[s + 6 * columns]!;
      dst[o + 7] = src[s + 7 * columns]!;
    }
  }
  for (let r = wholeRows; r < rows; r++)
    for (let c = begin, s = r * columns + begin, o = lead + r; c < end; c++, s++, o += rows) dst[o] = src[s]!;
  const tail = lead + (end - begin) * rows;
  copyStrided(src, dst.subarray(tail), [columns, rows], [1, columns], first + tail);
}

/** Any permutation, in blocks. */
function copyStrided(
  src: Words,
  dst: Words,
  outShape: readonly number[],
  outStrides: readonly number[],
  first: number,
): void {
  if (dst.length === 0) return;
  const length = outShape.at(-1)!;
  const stride = outStrides.at(-1)!;
  const firstRow = Math.floor(first / length);
  const lastRow = Math.ceil((first + dst.length) / length);
  for (let rowBlock = firstRow; rowBlock < lastRow; rowBlock += BLOCK) {
    const rows = Math.min(BLOCK, lastRow - rowBlock);
    const starts = Array.from({ length: rows }, (_, r) => rowStart(rowBlock + r, outShape, outStrides));
    for (let columnBlock = 0; columnBlock < length; columnBlock += BLOCK) {
      const columnEnd = Math.min(columnBlock + BLOCK, length);
      for (let r = 0; r < rows; r++) {
        const outRow = (rowBlock + r) * length - first;
        const from = Math.max(columnBlock, -outRow);
        const to = Math.min(columnEnd, dst.length - outRow);
        for (let c = from, at = starts[r]! + from * stride; c < to; c++, at += stride) dst[outRow + c] = src[at]!;
      }
    }
  }
}

/** Offset in the source of the first element of row `row` of the permuted array. */
function rowStart(row: number, outShape: readonly number[], outStrides: readonly number[]): number {
  let offset = 0;
  for (let axis = outShape.length - 2, rest = row; axis >= 0; axis--) {
    const size = outShape[axis]!;
    offset += (rest % size) * outStrides[axis]!;
    rest = Math.floor(rest / size);
  }
  return offset;
}

function wordsOf(bytes: Uint8Array, size: number): Words {
  const Word = size === 1 ? Uint8Array : size === 2 ? Uint16Array : Uint32Array;
  return new Word(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / size);
}
