import { readTensor } from '../tensor.ts';
import type { QuantizedMatrix } from '../quantize/lazy_matrix.ts';

/**
 * The weights that a quantized matrix means: (q − zero) · scale, or of a codebook, [N, columns] without the padding.
 */
export async function dequantize(
  { q, scales, zeros }: QuantizedMatrix,
  columns: number,
  codebook?: readonly number[],
): Promise<Float64Array> {
  const [rows, blocks, block] = q.shape as [number, number, number];
  const codes = (await readTensor(q)).data;
  const s = (await readTensor(scales)).data;
  const z = zeros && (await readTensor(zeros)).data;
  const middle = q.dtype === 'u4' ? 8 : 128;
  return Float64Array.from({ length: rows * columns }, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns];
    const index = row * blocks + Math.floor(column / block);
    const code = codes[row * blocks * block + column]!;
    return (codebook ? codebook[code]! : code - (z ? z[index]! : middle)) * s[index]!;
  });
}

/** 10 log10 of Σ h w² / Σ h (w − ŵ)²; h, one for each column, is 1 where it is left out. */
export function weightSnr(w: ArrayLike<number>, quantized: ArrayLike<number>, h: ArrayLike<number> = [1]): number {
  let signal = 0;
  let noise = 0;
  for (let i = 0; i < w.length; i++) {
    const weight = h[i % h.length]!;
    signal += weight * w[i]! ** 2;
    noise += weight * (w[i]! - quantized[i]!) ** 2;
  }
  return 10 * Math.log10(signal / noise);
}
