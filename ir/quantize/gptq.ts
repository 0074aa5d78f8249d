import type { TensorData } from '../tensor.ts';
import { QuantizeError } from './error.ts';
import { plainExecutor } from './executor.ts';
import type { HessianFactor } from './hessian.ts';
import { relativeImportance } from './importance.ts';
import { lazyQuantized, type QuantizedMatrix } from './lazy_matrix.ts';
import { ownBits, type QuantizeOptions } from './quantize_matrix.ts';
import { isWeightType, layoutOf, printScheme, type Scheme } from './scheme.ts';

/**
 * `data` [N, K] by GPTQ (arXiv:2210.17323; see kernels/gptq.js): scales and zero points of each block by the scheme's
 * algorithm, for its weights as they are, weighted by what errors cost; then codes column by column in the factor's
 * order. Lazy, like quantizeMatrix; whoever reads codes and scales of a matrix one after the other computes it once.
 * Slow: N·K·P/2 products in binary64, of parts of P columns. The factor is asked for with each run of rows.
 * @throws QuantizeError `scheme`, also for codes of a codebook; while reading `hessian` when the factor has other
 * columns, `non_finite` or `overflow`
 */
export function gptqMatrix(
  data: TensorData,
  scheme: Scheme,
  factor: () => Promise<HessianFactor>,
  { allowOverflow = false, executor = plainExecutor }: Omit<QuantizeOptions, 'importance'> = {},
): QuantizedMatrix {
  const layout = layoutOf(data, scheme, allowOverflow);
  const { columns, form } = layout;
  if (form.codebook)
    throw new QuantizeError(
      'scheme',
      `GPTQ rounds to affine codes, not to those of ${printScheme(scheme)}`,
      'quantize this weight without GPTQ',
      data,
    );
  const source = ownBits(data);
  const { dtype } = source;
  if (!isWeightType(dtype)) throw new TypeError(`weights of ${dtype}`);
  const { algorithm } = scheme;
  return lazyQuantized({
    source,
    layout,
    executor,
    codesFollow: false,
    async job({ bytes, rows }) {
      const { columns: own, parts } = await factor();
      if (own !== columns)
        throw new QuantizeError(
          'hessian',
          `a Hessian of ${own} columns for ${columns}`,
          'calibrate again with this checkpoint',
          data,
        );
      const costs = Float64Array.from(parts.flatMap((part) => [...part.costs]));
      const importance = relativeImportance(costs, columns, data);
      return { bytes, dtype, rows, columns, form, algorithm, importance, parts };
    },
  });
}
