import type { TensorData } from '../tensor.ts';
import { castData } from '../views/cast.ts';
import { viewBehind } from '../views/view.ts';
import { plainExecutor, type QuantizeExecutor } from './executor.ts';
import { relativeImportance } from './importance.ts';
import { lazyQuantized, type QuantizedMatrix } from './lazy_matrix.ts';
import { isWeightType, layoutOf, type Scheme } from './scheme.ts';

export interface QuantizeOptions {
  /**
   * [K], finite and ≥ 0: what an error in each column costs, E[x²] of its input. Used by the search; equal when left
   * out.
   */
  readonly importance?: ArrayLike<number>;
  /**
   * Scales beyond binary16 become 65504 and their weights saturate, instead of failing. NaN and infinities always fail.
   */
  readonly allowOverflow?: boolean;
  /** Default: this thread, plain JavaScript. */
  readonly executor?: QuantizeExecutor;
}

/**
 * `data` [N, K] of f32, f16 or bf16, quantized along K. Lazy: nothing is read before chunks of the result are, and then
 * rows in order.
 *
 * One rule for all algorithms but GPTQ, in binary32, ties to even: scales (and float zero points) are rounded to
 * binary16 first; a code is clamp(round(w · (1/s) + z)), and a weight then means (code − z) · s. Scales lie in [2^-24,
 * 65504] (negative ones appear in symmetric 4-bit searches); a block of zeros has 2^-24 and codes equal to its zero
 * point. The bytes depend on nothing else: not on chunks, threads or SIMD.
 * @throws QuantizeError `scheme` or `importance` now; `non_finite` or `overflow` with row and column while reading
 */
export function quantizeMatrix(
  data: TensorData,
  scheme: Scheme,
  { importance, allowOverflow = false, executor = plainExecutor }: QuantizeOptions = {},
): QuantizedMatrix {
  const layout = layoutOf(data, scheme, allowOverflow);
  const { columns, form } = layout;
  const relative = importance && relativeImportance(importance, columns, data);
  const source = ownBits(data);
  const { dtype } = source;
  if (!isWeightType(dtype)) throw new TypeError(`weights of ${dtype}`);
  const { algorithm } = scheme;
  const recipe = importance ? undefined : JSON.stringify([form, algorithm]);
  return lazyQuantized({
    source,
    layout,
    executor,
    codesFollow: true,
    ...(recipe && { recipe }),
    job: ({ bytes, rows }) => ({ bytes, dtype, rows, columns, form, algorithm, importance: relative }),
  });
}

/** The tensor's own 16 bits where `data` only widens them: half the bytes to move, and no conversion. */
export function ownBits(data: TensorData): TensorData {
  const { source } = viewBehind(data);
  return data.dtype === 'f32' && (source.dtype === 'bf16' || source.dtype === 'f16')
    ? castData(data, source.dtype)
    : data;
}
