import { f16BitsFromF32Bits, f16FromBits } from '../../../ir/dtypes/f16.ts';
import type { QuantizedMatrix } from '../../../ir/quantize/lazy_matrix.ts';
import { quantizeMatrix } from '../../../ir/quantize/quantize_matrix.ts';
import type { Scheme } from '../../../ir/quantize/scheme.ts';
import { readTensor, type TensorData } from '../../../ir/tensor.ts';
import { codedMatrix, codeOf, LEVELS } from './coded_matrix.ts';

/** Scales that are tried of a block, in shares of what round to nearest takes: 0.5 to 1.295. */
const SHARES = Array.from({ length: 160 }, (_, i) => 0.5 + i * 0.005);
const LEAST_SCALE = 2 ** -24;

/** Squared errors of blocks by the usual search, and by the best of all that was tried. */
export interface SearchErrors {
  usual: number;
  best: number;
}

/**
 * Codes of 4 bits in blocks by the best of 160 scales with each of the 16 zero points, and of what the usual search
 * finds: near to what any choice of both can reach, as NeUQI (arXiv:2505.17595) sets out to.
 *
 * @param isWeighted whether the error of a weight counts by its size, rms + |w|, as in llama.cpp's k-quants
 */
export function exhaustiveCodes(
  data: TensorData,
  scheme: Scheme,
  isWeighted: boolean,
  errors: SearchErrors,
): QuantizedMatrix {
  const { block } = scheme;
  return codedMatrix(data, block, async () => {
    const [rows, columns] = data.shape as [number, number];
    const blocks = Math.ceil(columns / block);
    const weights = (await readTensor(data)).data;
    const usual = quantizeMatrix(data, scheme);
    const scales = Float32Array.from((await readTensor(usual.scales)).data);
    const zeros = Uint8Array.from((await readTensor(usual.zeros!)).data);
    const codes = new Uint8Array(rows * blocks * block);
    for (let index = 0; index < rows * blocks; index++) {
      const at = Math.floor(index / blocks) * columns;
      const from = (index % blocks) * block;
      const own = Array.from(weights.slice(at + from, at + Math.min(columns, from + block)));
      const rms = Math.sqrt(own.reduce((sum, w) => sum + w * w, 0) / own.length);
      const costs = own.map((w) => (isWeighted ? rms + Math.abs(w) : 1));
      const errorOf = (scale: number, zero: number) =>
        own.reduce((sum, w, i) => sum + costs[i]! * (w - (codeOf(w, scale, zero) - zero) * scale) ** 2, 0);
      let [scale, zero] = [scales[index]!, zeros[index]!];
      let least = errorOf(scale, zero);
      errors.usual += least;
      const widest = (Math.max(0, ...own) - Math.min(0, ...own)) / LEVELS;
      for (const share of SHARES) {
        const tried = Math.max(toF16(widest * share), LEAST_SCALE);
        for (let z = 0; z <= LEVELS; z++) {
          const error = errorOf(tried, z);
          if (error < least) [least, scale, zero] = [error, tried, z];
        }
      }
      errors.best += least;
      [scales[index], zeros[index]] = [scale, zero];
      for (let i = 0; i < block; i++) codes[index * block + i] = i < own.length ? codeOf(own[i]!, scale, zero) : zero;
    }
    return { codes, scales, zeros };
  });
}

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

function toF16(x: number): number {
  float[0] = x;
  return f16FromBits(f16BitsFromF32Bits(word[0]!));
}
