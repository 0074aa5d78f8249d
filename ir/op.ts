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

/**
 * What class an op is of, for passes and backends: sets of ops are derived from it (ops/traits.ts).
 * - `elementwise`: each element of the result is made of those at its place in the operands, which are broadcast. A
 *   composite of this class is made of such ops alone.
 * - `movement`: each element of the result is one of an operand: nothing is computed.
 * - `size`: the result is made of sizes of tensors alone.
 * - `linear`: products of rows with all rows of a matrix that the op takes as its operand 1, alone or as codes.
 * - `lookup`: rows of a table that the op takes as its operand 0, alone or as codes, at the indices in operand 1.
 */
export type Trait = 'elementwise' | 'movement' | 'size' | 'linear' | 'lookup';

/**
 * Where an op computes once its graph is cast to a narrow float (passes/cast_floats.ts):
 * - `compute`: in the target dtype, constants included. The bulk of the work and of the bytes.
 * - `keep f32`: in f32: sums over many terms, the residual stream, exponentials, angles.
 * - `follow all operands`: in the target dtype when every float operand is a computed value that has it, else in f32.
 *   So gate · up stays narrow, while q · scale, with a constant, happens in f32 before q is rounded.
 * - `follow any operand`: in the target dtype when one computed operand has it. For ops that only move elements:
 *   rounding before or after the move is the same, and a narrow KV cache is not widened to be extended.
 */
export type CastPolicy = 'compute' | 'keep f32' | 'follow all operands' | 'follow any operand';

interface Signature<Name extends string, A extends AttrSchema, T extends Trait> {
  readonly name: Name;
  /** What it computes, with shapes and the source of the formula. */
  readonly doc: string;
  /** Names of the operands in order; a trailing `?` marks optional ones (last only), `...` one that repeats. */
  readonly operands: readonly string[];
  readonly attrs: A;
  readonly traits: readonly T[];
  readonly castPolicy: CastPolicy;
  /** Operands, as `operands` spells them, that are f32 even where the op computes in a narrower dtype. */
  readonly f32Operands?: readonly string[];
  /** Result types. @throws IrTypeError when operands or attributes do not fit. */
  infer(inputs: readonly TensorType[], attrs: AttrValues<A>): readonly TensorType[];
}

/** An op that every backend must lower and the evaluator runs. */
export interface Primitive<
  Name extends string = string,
  A extends AttrSchema = AttrSchema,
  T extends Trait = Trait,
> extends Signature<Name, A, T> {
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
export interface Composite<
  Name extends string = string,
  A extends AttrSchema = AttrSchema,
  T extends Trait = Trait,
> extends Signature<Name, A, T> {
  readonly kind: 'composite';
  decompose(b: Emitter, inputs: readonly Value[], attrs: AttrValues<A>): readonly Value[];
}

export type Op<Name extends string = string, A extends AttrSchema = AttrSchema, T extends Trait = Trait> =
  | Primitive<Name, A, T>
  | Composite<Name, A, T>;

/** Declares an op that backends compute, and that `evaluate` defines. */
export function primitive<const Name extends string, A extends AttrSchema, const T extends Trait>(
  op: Omit<Primitive<Name, A, T>, 'kind'>,
): Primitive<Name, A, T> {
  return { kind: 'primitive', ...op };
}

/** Declares an op that is made of others: `decompose` defines it. */
export function composite<const Name extends string, A extends AttrSchema, const T extends Trait>(
  op: Omit<Composite<Name, A, T>, 'kind'>,
): Composite<Name, A, T> {
  return { kind: 'composite', ...op };
}
