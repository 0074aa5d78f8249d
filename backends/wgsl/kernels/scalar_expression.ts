import { literalText } from './literal_text.ts';
import type { ScalarText } from './scalar_ops.ts';
import { scalarText, type ScalarFunction } from './scalar_text.ts';

/** An f32 made of texts: what a compiler puts together for an Epilogue. */
export type ScalarExpression =
  /** WGSL of type f32: `y0`, `residual[row * 64u + column]`. */
  | { readonly text: string }
  | { readonly value: number }
  | ({ readonly inputs: readonly ScalarExpression[] } & ScalarFunction);

/** The expression as WGSL, with the functions it calls. @throws BackendError for NaN */
export function expressionOf(expression: ScalarExpression): ScalarText {
  if ('text' in expression) return { text: expression.text, functions: [] };
  if ('value' in expression) return { text: literalText({ type: 'f32', value: expression.value }), functions: [] };
  const inputs = expression.inputs.map(expressionOf);
  const { text, functions } = scalarText(
    expression,
    inputs.map(({ text }) => ({ text, type: 'f32' })),
    'f32',
  );
  return { text, functions: [...new Set([...inputs.flatMap((input) => input.functions), ...functions])] };
}
