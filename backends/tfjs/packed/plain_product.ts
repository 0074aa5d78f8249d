import type { PackedShape } from './shape.ts';

export interface PackedOperands {
  readonly x: Float32Array;
  readonly codes: Int32Array;
  readonly scales: Float32Array;
  readonly zeros?: Int32Array | undefined;
}

/** x[rows, K] · ((code − zero) · scale)[N, K]ᵀ as f32[rows, N], one row of the matrix in numbers at a time; sums in f64. */
export function plainProduct({ x, codes, scales, zeros }: PackedOperands, { rows, columns, outputs, bits, group, words, blocks }: PackedShape): Float32Array {
  const out = new Float32Array(rows * outputs);
  const row = new Float32Array(words * (32 / bits));
  const mask = 2 ** bits - 1;
  const perWord = 32 / bits;
  const wordsPerGroup = group / perWord;
  for (let n = 0; n < outputs; n++) {
    for (let block = 0, at = 0; block < blocks; block++) {
      const scale = scales[n * blocks + block]!;
      const index = n * blocks + block;
      const zero = zeros ? (zeros[Math.floor(index / perWord)]! >>> (bits * (index % perWord))) & mask : 2 ** (bits - 1);
      for (let w = 0; w < wordsPerGroup; w++) {
        const word = codes[n * words + block * wordsPerGroup + w]!;
        for (let shift = 0; shift < 32; shift += bits) row[at++] = (((word >>> shift) & mask) - zero) * scale;
      }
    }
    for (let r = 0; r < rows; r++) {
      let sum = 0;
      for (let k = 0, start = r * columns; k < columns; k++) sum += x[start + k]! * row[k]!;
      out[r * outputs + n] = sum;
    }
  }
  return out;
}
