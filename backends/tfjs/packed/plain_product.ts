import type { PackedShape } from './shape.ts';

export interface PackedOperands {
  readonly x: Float32Array;
  readonly codes: Int32Array;
  readonly scales: Float32Array;
  readonly zeros?: Int32Array | undefined;
}

/**
 * x[rows, K] · ((code − zero) · scale)[N, K]ᵀ, or (codebook[code] · scale)ᵀ, as f32[rows, N], one row of
 * the matrix in numbers at a time; sums in f64.
 */
export function plainProduct(
  { x, codes, scales, zeros }: PackedOperands,
  { rows, columns, outputs, bits, group, words, blocks, codebook }: PackedShape,
): Float32Array {
  const out = new Float32Array(rows * outputs);
  const row = new Float32Array(words * (32 / bits));
  const mask = 2 ** bits - 1;
  const perWord = 32 / bits;
  const wordsPerGroup = group / perWord;
  for (let n = 0; n < outputs; n++) {
    for (let block = 0, at = 0; block < blocks; block++) {
      const scale = scales[n * blocks + block]!;
      const index = n * blocks + block;
      const zero = zeros
        ? (zeros[Math.floor(index / perWord)]! >>> (bits * (index % perWord))) & mask
        : 2 ** (bits - 1);
      for (let w = 0; w < wordsPerGroup; w++, at += perWord) {
        const word = codes[n * words + block * wordsPerGroup + w]!;
        if (codebook) unpackLevels(word, bits, codebook, scale, row, at);
        else if (bits === 4) unpackFours(word, zero, scale, row, at);
        else unpackBytes(word, zero, scale, row, at);
      }
    }
    let r = 0;
    for (; r + 4 <= rows; r += 4) {
      const [s0, s1, s2, s3] = fourProducts(x, r * columns, columns, row);
      out[r * outputs + n] = s0;
      out[(r + 1) * outputs + n] = s1;
      out[(r + 2) * outputs + n] = s2;
      out[(r + 3) * outputs + n] = s3;
    }
    for (; r < rows; r++) out[r * outputs + n] = product(x, r * columns, columns, row);
  }
  return out;
}

/** Products of four rows of x: sums that do not wait for one another. */
function fourProducts(
  x: Float32Array,
  start: number,
  columns: number,
  row: Float32Array,
): readonly [number, number, number, number] {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const [second, third, fourth] = [start + columns, start + 2 * columns, start + 3 * columns];
  for (let k = 0; k < columns; k++) {
    const w = row[k]!;
    s0 += x[start + k]! * w;
    s1 += x[second + k]! * w;
    s2 += x[third + k]! * w;
    s3 += x[fourth + k]! * w;
  }
  return [s0, s1, s2, s3];
}

function product(x: Float32Array, start: number, columns: number, row: Float32Array): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  let k = 0;
  for (; k + 4 <= columns; k += 4) {
    s0 += x[start + k]! * row[k]!;
    s1 += x[start + k + 1]! * row[k + 1]!;
    s2 += x[start + k + 2]! * row[k + 2]!;
    s3 += x[start + k + 3]! * row[k + 3]!;
  }
  for (; k < columns; k++) s0 += x[start + k]! * row[k]!;
  return s0 + s1 + s2 + s3;
}

/** Written out: a loop over shifts takes twice as long. */
function unpackFours(word: number, zero: number, scale: number, row: Float32Array, at: number): void {
  row[at] = ((word & 15) - zero) * scale;
  row[at + 1] = (((word >>> 4) & 15) - zero) * scale;
  row[at + 2] = (((word >>> 8) & 15) - zero) * scale;
  row[at + 3] = (((word >>> 12) & 15) - zero) * scale;
  row[at + 4] = (((word >>> 16) & 15) - zero) * scale;
  row[at + 5] = (((word >>> 20) & 15) - zero) * scale;
  row[at + 6] = (((word >>> 24) & 15) - zero) * scale;
  row[at + 7] = ((word >>> 28) - zero) * scale;
}

function unpackLevels(
  word: number,
  bits: number,
  codebook: readonly number[],
  scale: number,
  row: Float32Array,
  at: number,
): void {
  for (let i = 0; i < 32 / bits; i++) row[at + i] = codebook[(word >>> (bits * i)) & (2 ** bits - 1)]! * scale;
}

function unpackBytes(word: number, zero: number, scale: number, row: Float32Array, at: number): void {
  row[at] = ((word & 255) - zero) * scale;
  row[at + 1] = (((word >>> 8) & 255) - zero) * scale;
  row[at + 2] = (((word >>> 16) & 255) - zero) * scale;
  row[at + 3] = ((word >>> 24) - zero) * scale;
}
