import type { AttrSchema, AttrValues } from './attr.ts';
import type { Bindings } from './dim.ts';
import type { DType } from './dtypes/index.ts';
import type { NumberArray } from './dtypes/codec.ts';
import type { Tensor, TensorData } from './tensor.ts';
import type { TensorType } from './type.ts';

/** One result of a node or one input of a graph. Identity is the object; the name is unique within its graph. */
export interface Value {
  readonly name: string;
  readonly type: TensorType;
}

/** A result before it is rounded to its dtype. */
export interface RawTensor {
  readonly shape: readonly number[];
  readonly data: NumberArray;
}

/** What a composite's decomposition may do: add nodes and literals to the graph under construction. */
export interface Emitter {
  /** Adds a node; returns its first result. @throws IrTypeError when the operands do not fit. */
  op<A extends AttrSchema>(op: Op<string, A>, inputs: readonly Value[], attrs: AttrValues<A>): Value;
  literal(dtype: DType, shape: readonly number[], values: readonly number[]): Value;
}

interface Signature<Name extends string, A extends AttrSchema> {
  readonly name: Name;
  /** What it computes, with shapes and the source of the formula. */
  readonly doc: string;
  /** Names of the operands in order; a trailing `?` marks optional ones (last only), `...` one that repeats. */
  readonly operands: readonly string[];
  readonly attrs: A;
  /** Result types. @throws IrTypeError when operands or attributes do not fit. */
  infer(inputs: readonly TensorType[], attrs: AttrValues<A>): readonly TensorType[];
}

/** An op that every backend must lower and the evaluator runs. */
export interface Primitive<Name extends string = string, A extends AttrSchema = AttrSchema> extends Signature<Name, A> {
  readonly kind: 'primitive';
  /** float64 arithmetic on decoded elements; the evaluator rounds the results to the declared dtypes. */
  evaluate(inputs: readonly Tensor[], attrs: AttrValues<A>, bindings: Bindings): readonly RawTensor[];
  /** The same with a weight operand that is still unread, for ops that need only a few rows of it at a time. */
  evaluateStreamed?(inputs: readonly Tensor[], weight: TensorData, attrs: AttrValues<A>): Promise<readonly RawTensor[]>;
  /** Which operand evaluateStreamed takes unread. */
  readonly streamedOperand?: number;
  /** The result of unread weights as one more unread weight, for ops whose result may be too large to hold. */
  lazily?(weights: readonly TensorData[], attrs: AttrValues<A>): TensorData;
}

/** An op that states what it is made of: it works on every backend, and a backend may lower it natively. */
export interface Composite<Name extends string = string, A extends AttrSchema = AttrSchema> extends Signature<Name, A> {
  readonly kind: 'composite';
  decompose(b: Emitter, inputs: readonly Value[], attrs: AttrValues<A>): readonly Value[];
}

export type Op<Name extends string = string, A extends AttrSchema = AttrSchema> =
  | Primitive<Name, A>
  | Composite<Name, A>;

/** Declares an op that backends compute, and that `evaluate` defines. */
export function primitive<const Name extends string, A extends AttrSchema>(
  op: Omit<Primitive<Name, A>, 'kind'>,
): Primitive<Name, A> {
  return { kind: 'primitive', ...op };
}

/** Declares an op that is made of others: `decompose` defines it. */
export function composite<const Name extends string, A extends AttrSchema>(
  op: Omit<Composite<Name, A>, 'kind'>,
): Composite<Name, A> {
  return { kind: 'composite', ...op };
}
