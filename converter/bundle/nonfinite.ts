import type { DType } from '../../ir/dtypes/index.ts';
import type { TensorData } from '../../ir/tensor.ts';
import { unroundedPieces } from '../../ir/views/unrounded.ts';
import { BadInputError } from '../errors.ts';
import { scanNonFinite } from './scan_nonfinite.js';

/** Infinities and NaN of one tensor as it was written. */
export interface NonFinite {
  /** In the bundle. */
  readonly file: string;
  readonly tensor: string;
  readonly dtype: DType;
  /** Infinities, and how many of them were finite in the checkpoint and did not fit `dtype`. */
  readonly infinite: number;
  readonly overflowed: number;
  /** Always from the checkpoint: no cast makes a NaN. */
  readonly nan: number;
}

export interface NonFinitePolicy {
  /** Weights that do not fit the target dtype become ±Infinity and are reported instead of failing the build. */
  readonly allowOverflow: boolean;
  /** NaN and Infinity that the checkpoint has itself fail the build. */
  readonly strict: boolean;
}

/** Counts infinities and NaN of a tensor by reading it. */
export async function countNonFinite(data: TensorData): Promise<{ infinite: number; nan: number }> {
  const total = { infinite: 0, nan: 0 };
  for await (const chunk of data.chunks()) {
    const { infinite, nan } = scanNonFinite(chunk, data.dtype);
    total.infinite += infinite;
    total.nan += nan;
  }
  return total;
}

/** Tells overflow from infinities that were there before: `source` is what the tensor was made of. */
export async function withOverflow(found: Omit<NonFinite, 'overflowed'>, source: TensorData): Promise<NonFinite> {
  if (found.infinite === 0) return { ...found, overflowed: 0 };
  let before = 0;
  for (const piece of unroundedPieces(source)) before += (await countNonFinite(piece)).infinite;
  return { ...found, overflowed: Math.max(0, found.infinite - before) };
}

/** One sentence a tensor, for warnings and for the manifest. */
export function describeNonFinite({ tensor, dtype, infinite, overflowed, nan }: NonFinite): string {
  const own = infinite - overflowed;
  const parts = [
    overflowed > 0 && `${overflowed} weights do not fit ${dtype} and became infinite`,
    own > 0 && `${own} weights are infinite in the checkpoint`,
    nan > 0 && `${nan} weights are NaN in the checkpoint`,
  ];
  return `${tensor}: ${parts.filter(Boolean).join('; ')}`;
}

/**
 * @throws BadInputError `weight_overflow` or `weight_not_finite` naming the tensors, when the policy does not allow
 * them
 */
export function enforceNonFinite(found: readonly NonFinite[], { allowOverflow, strict }: NonFinitePolicy): void {
  const overflowed = found.filter((f) => f.overflowed > 0);
  if (overflowed.length > 0 && !allowOverflow)
    throw new BadInputError('weight_overflow', listed(overflowed), {
      tensor: overflowed[0]!.tensor,
      hint: 'convert with --dtype fp32, or accept the infinities with --allow-overflow and look at what verify says',
    });
  const damaged = found.filter((f) => f.nan > 0 || f.infinite > f.overflowed);
  if (damaged.length > 0 && strict)
    throw new BadInputError('weight_not_finite', listed(damaged), {
      tensor: damaged[0]!.tensor,
      hint: 'repair the checkpoint, or convert without --strict to keep these values as they are',
    });
}

function listed(found: readonly NonFinite[]): string {
  const shown = found.slice(0, 8).map(describeNonFinite).join('; ');
  return found.length > 8 ? `${shown}; and ${found.length - 8} more tensors` : shown;
}
