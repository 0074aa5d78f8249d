import type { ValueRows } from '../../../ir/observe/kept_rows.ts';
import type { QuantizeExecutor } from '../../../ir/quantize/executor.ts';
import { factorRows, type HessianFactor } from '../../../ir/quantize/hessian.ts';

/** Factors that are held: one of 16384 columns takes 64 MiB. */
const HELD = 2;

/**
 * Factors of the inputs that were asked for last: made when a matrix is quantized and dropped soon after, since those
 * of all matrices take more memory than there is. q, k and v follow each other and have one.
 */
export function recentFactors(executor: QuantizeExecutor): (values: readonly ValueRows[]) => Promise<HessianFactor> {
  const held: { readonly values: readonly ValueRows[]; readonly factor: Promise<HessianFactor> }[] = [];
  return (values) => {
    const at = held.findIndex(
      (own) => own.values.length === values.length && own.values.every((value, i) => value === values[i]),
    );
    const [found] = at < 0 ? [] : held.splice(at, 1);
    const own = found ?? { values, factor: factorRows(values, executor) };
    held.push(own);
    if (held.length > HELD) held.shift();
    return own.factor;
  };
}
