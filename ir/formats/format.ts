import type { DType } from '../dtypes/index.ts';

/** How quantizers choose scales and zero points: each is one file in ir/quantize/kernels. */
export type QuantizeAlgorithm = 'rtn' | 'search' | 'hqq';

/** Which weights of a matrix [N, K] share a scale. */
export interface Blocks {
  /** Weights of a block: whole bytes of codes. */
  readonly size: number;
  /**
   * `row`: blocks begin anew in every row, whose last one is filled up. `matrix`: they run on across the ends of rows,
   * over the N · K weights in C order, and only the very last one is filled up.
   */
  readonly over: 'row' | 'matrix';
}

/**
 * How weights lie as codes in blocks, as data: quantizers, the op `dequantize` and the kernels of backends look here
 * for what differs. Of all formats the same: a scale a block, chosen among the values of binary16 and beside the codes
 * in a float dtype; codes of 4 bits two in a byte, the first in its low half.
 */
export interface WeightFormat {
  readonly name: string;
  readonly doc: string;
  readonly bits: 4 | 8;
  /** The dtypes that codes have, all of `bits`: quantizers make the first. */
  readonly codes: readonly [DType, ...DType[]];
  /**
   * What each code means, times the scale: 2^bits numbers in ascending order, 0 among them, the largest magnitude 1.
   * Absent for affine codes, which mean (code − zero point) · scale, and alone have zero points: one a block, a code or
   * a float like the scale. Without, it is the middle of the codes' range.
   */
  readonly codebook?: readonly number[];
  /** Which weights share a scale where nobody says. */
  readonly blocks: Blocks;
  /** Whether quantizers leave zero points out where nobody says. */
  readonly symmetric: boolean;
  /** Whether quantizers can choose float zero points, of values that binary16 has. */
  readonly floatZeros: boolean;
  /** What quantizers can choose by, the usual one first. */
  readonly algorithms: readonly [QuantizeAlgorithm, ...QuantizeAlgorithm[]];
  /** Whether GPTQ gains anything: finer codes leave it nothing to make good. */
  readonly gptq: boolean;
}
