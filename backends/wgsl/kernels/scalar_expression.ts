import type { ScalarOp, ScalarText } from './scalar_ops.ts';

/** An f32 made of texts: what a compiler puts together for an Epilogue. */
export type ScalarExpression =
  /** WGSL of type f32: `y0`, `residual[row * 64u + column]`. */
  | { readonly text: string }
  | { readonly value: number }
  | { readonly op: ScalarOp; readonly inputs: readonly ScalarExpression[] };

/** The expression as WGSL, with the functions it calls. */
export function expressionOf(_expression: ScalarExpression): ScalarText {
  throw new Error('being written');
}
