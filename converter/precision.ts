import { castFloats, eliminateCommonSubexpressions, eliminateDeadCode, foldConstants, splitLargeWeights, type Pass } from '../ir/passes/index.ts';
import type { Precision } from '../verify/tolerances.ts';

/**
 * Weights above this are cut: half a GiB stays far from the 2 GiB of a browser's ArrayBuffer and from 1 GB files, and it is
 * what a transposed weight holds in memory.
 */
export const MAX_WEIGHT_BYTES = 512 * 1024 * 1024;

/** What each precision does to the f32 program. */
const CASTS: Readonly<Record<Precision, readonly Pass[]>> = {
  fp32: [],
  fp16: [castFloats({ to: 'f16' })],
};
export const PRECISIONS = Object.keys(CASTS) as readonly Precision[];

/** The passes between a family's f32 program and a backend, in order. */
export function passesFor(precision: Precision): readonly Pass[] {
  return [foldConstants, ...CASTS[precision], splitLargeWeights(MAX_WEIGHT_BYTES), eliminateCommonSubexpressions, eliminateDeadCode];
}
