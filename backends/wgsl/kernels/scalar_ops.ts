import type { CompositeName, PrimitiveName } from '../../../ir/ops/index.ts';
import type { OpWith } from '../../../ir/ops/traits.ts';
import type { ElementType } from '../bundle/plan.ts';

/** WGSL of one op. */
export interface ScalarText {
  readonly text: string;
  /** Definitions of the functions that the text calls, those that others call first. */
  readonly functions: readonly string[];
}

/**
 * By exp where it is exact, by its series near 0. Drivers' own may be NaN for large arguments, and on some are good to
 * 3 digits only.
 */
const TANH = `\
fn tanh_of(x: f32) -> f32 {
  let s = x * x;
  let near = x + x * s * (-0.33333333 + s * (0.13333333 + s * (-0.053968254 + s * 0.021869488)));
  let t = exp(-2.0 * min(abs(x), 15.0));
  return select(sign(x) * (1.0 - t) / (1.0 + t), near, abs(x) < 0.3);
}`;

/** Two polynomials within an ulp or so (N. Juffa's, for f32). */
const ERF = `\
fn erf_of(x: f32) -> f32 {
  let t = min(abs(x), 4.0);
  let s = t * t;
  var far = fma(fma(-1.72853470e-5, t, 3.83197126e-4), s, fma(-3.88396438e-3, t, 2.42546219e-2));
  far = fma(fma(fma(far, t, -1.06777877e-1), t, -6.34846687e-1), t, -1.28717512e-1);
  far = 1.0 - exp(fma(far, t, -t));
  var near = fma(fma(fma(-5.96761703e-4, s, 4.99119423e-3), s, -2.67681349e-2), s, 1.12819925e-1);
  near = fma(fma(fma(near, s, -3.76125336e-1), s, 1.28379166e-1), t, t);
  return sign(x) * select(near, far, t > 0.927734375);
}`;

const GELU_ERF = `\
fn gelu_erf(x: f32) -> f32 {
  return 0.5 * x * (1.0 + erf_of(0.70710678 * x));
}`;

/** 0.5 (1 + tanh(u)) = 1 / (1 + exp(-2u)). */
const GELU_TANH = `\
fn gelu_tanh(x: f32) -> f32 {
  let z = clamp(x, -20.0, 20.0);
  let u = 0.79788456 * (z + 0.044715 * z * z * z);
  return max(x, -20.0) / (1.0 + exp(clamp(-2.0 * u, -80.0, 80.0)));
}`;

const call =
  (name: string, functions: readonly string[]) =>
  ([x]: readonly string[]): ScalarText => ({ text: `${name}(${x})`, functions });
const infix =
  (operator: string) =>
  ([a, b]: readonly string[]): ScalarText => ({ text: `(${a} ${operator} ${b})`, functions: [] });

/** Ops of the IR that make an element of elements. */
export type ScalarOp = OpWith<'elementwise'>;

/** By texts of the operands and the type of the result. Bools are WGSL bools. */
type Write = (operands: readonly string[], type: ElementType) => ScalarText;

/**
 * How each elementwise op is written: a primitive without a text does not compile. A composite has one here only where
 * WGSL has it better than what it is made of; else it is a function of that (scalar_text.ts).
 */
export const SCALAR_OPS: { readonly [N in Extract<ScalarOp, PrimitiveName>]: Write } & {
  readonly [N in Extract<ScalarOp, CompositeName>]?: Write;
} = {
  add: infix('+'),
  and: infix('&&'),
  cast: ([x], type) => ({ text: `${type}(${x})`, functions: [] }),
  div: infix('/'),
  equal: infix('=='),
  erf: call('erf_of', [ERF]),
  gelu_erf: call('gelu_erf', [ERF, GELU_ERF]),
  gelu_tanh: call('gelu_tanh', [GELU_TANH]),
  less_equal: infix('<='),
  mul: infix('*'),
  not: ([x]) => ({ text: `!(${x})`, functions: [] }),
  or: infix('||'),
  sqrt: call('sqrt', []),
  sub: infix('-'),
  tanh: call('tanh_of', [TANH]),
  where: ([condition, a, b]) => ({ text: `select(${b}, ${a}, ${condition})`, functions: [] }),
};
