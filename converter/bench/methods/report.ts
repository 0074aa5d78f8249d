import { tableText } from '../../terminal/table.ts';
import type { MethodMeasurement } from './measure.ts';

/** As a table. */
export function methodsReport(measured: readonly MethodMeasurement[]): string {
  return `int4 of ONNX by the evaluator: KL divergence from f32 on pictures that chose nothing\n${tableText(
    ['model', 'method', 'KLD', '', ''],
    measured.map(({ model, method, kld, ratio }) => [
      model,
      method,
      kld.toExponential(2),
      ratio ? ratio.value.toFixed(4) : '',
      ratio?.of ?? '',
    ]),
  )}`;
}
