import { tensorOf, tensorData, type Tensor, type TensorData } from '../../../ir/tensor.ts';
import { byteLengthOf, dtypes, type DType } from '../../../ir/dtypes/index.ts';
import type { Constant, Graph, Value } from '../../../ir/graph.ts';
import { DimTensors } from './dims.ts';
import type { Initializer, OnnxAttribute, OnnxDomain, OnnxGraph, OnnxNode } from './model.ts';
import { TensorNames } from './names.ts';

/** Literals up to this size lie in the model file: ORT must see shape constants before it opens external data. */
export const INLINE_BYTES = 1024;

/** The ONNX graph under construction: what lowering rules write into. */
export class LoweringContext {
  readonly dims: DimTensors;
  readonly #graph: Graph;
  readonly #names: TensorNames;
  readonly #constants: ReadonlyMap<Value, Constant>;
  readonly #weights = new Map<TensorData, string>();
  readonly #literals = new Map<string, string>();
  readonly #defined = new Set<Value>();
  readonly #shared = new Map<string, string>();
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers: Initializer[] = [];

  constructor(graph: Graph) {
    this.#graph = graph;
    this.#names = new TensorNames(graph);
    this.#constants = new Map(graph.constants.map((c) => [c.value, c]));
    this.dims = new DimTensors(this);
    for (const input of graph.inputs) this.#defined.add(input);
    this.dims.learn(graph.inputs);
  }

  /** The tensor that holds a value; a constant becomes an initializer when it is first used. */
  tensor(value: Value): string {
    const constant = this.#constants.get(value);
    if (constant && !this.#defined.has(value)) return this.#define(constant);
    return this.#names.of(value);
  }

  /** The unread weight behind a value; undefined for what is computed or literal. */
  weightOf(value: Value): TensorData | undefined {
    const constant = this.#constants.get(value);
    return constant?.kind === 'weight' ? constant.data : undefined;
  }

  /** Adds a node for `result`, under the name of that value. */
  emit(
    opType: string,
    inputs: readonly string[],
    result: Value,
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    domain: OnnxDomain = '',
  ): void {
    this.emitAll(opType, inputs, [result], attributes, domain);
  }

  /** The same for a node of several results; undefined for one that nothing needs. */
  emitAll(
    opType: string,
    inputs: readonly string[],
    results: readonly (Value | undefined)[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    domain: OnnxDomain = '',
  ): void {
    this.#nodes.push({
      opType,
      domain,
      inputs,
      outputs: results.map((result) => (result ? this.#names.of(result) : '')),
      attributes,
    });
    const made = results.filter((result) => result !== undefined);
    for (const result of made) this.#defined.add(result);
    this.dims.learn(made);
  }

  /** Adds a node on the way to a result; returns the tensor, named after `hint`. */
  step(
    opType: string,
    inputs: readonly string[],
    hint: string,
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    domain: OnnxDomain = '',
  ): string {
    const name = this.#names.fresh(hint);
    this.#nodes.push({ opType, domain, inputs, outputs: [name], attributes });
    return name;
  }

  /** A tensor that several rules need, made for the first. */
  shared(key: string, make: () => string): string {
    const tensor = this.#shared.get(key) ?? make();
    this.#shared.set(key, tensor);
    return tensor;
  }

  /** A weight in the form that a rule wants it; the same data is stored once. */
  weight(data: TensorData, hint: string): string {
    const known = this.#weights.get(data);
    if (known !== undefined) return known;
    const name = this.#names.fresh(hint);
    this.#weights.set(data, name);
    this.#initializers.push({ kind: 'weight', name, data });
    return name;
  }

  /** A literal; equal ones are stored once. */
  literal(dtype: DType, shape: readonly number[], values: readonly number[], hint = 'const'): string {
    return this.#literal(tensorOf(dtype, shape, values), hint);
  }

  /** i64 vector, for shapes, axes and bounds. */
  ints(...values: readonly (number | bigint)[]): string {
    const bytes = new Uint8Array(8 * values.length);
    const view = new DataView(bytes.buffer);
    values.forEach((value, i) => view.setBigInt64(8 * i, BigInt(value), true));
    return this.#literalBytes('i64', [values.length], bytes, `ints_${values.join('_')}`);
  }

  /** Gives the outputs their port names and closes the graph. */
  finish(): OnnxGraph {
    const { name, inputs, outputs } = this.#graph;
    for (const port of outputs) {
      const tensor = this.tensor(port.value);
      if (tensor !== port.name)
        this.#nodes.push({ opType: 'Identity', domain: '', inputs: [tensor], outputs: [port.name], attributes: {} });
    }
    const stages = this.#graph.stages.map((stage) => ({
      name: stage.name,
      tensor: this.tensor(stage.value),
      value: stage.value,
    }));
    return { name, inputs, outputs, nodes: this.#nodes, initializers: this.#initializers, stages };
  }

  #define(constant: Constant): string {
    const name =
      constant.kind === 'weight'
        ? this.weight(constant.data, constant.value.name)
        : this.#literal(constant.tensor, constant.value.name);
    return name;
  }

  #literal(tensor: Tensor, hint: string): string {
    const byteLength = byteLengthOf(tensor.dtype, tensor.data.length);
    if (byteLength > INLINE_BYTES) return this.#largeLiteral(tensor, hint);
    const bytes = new Uint8Array(byteLength);
    dtypes[tensor.dtype].encode(tensor.data, 0, tensor.data.length, bytes);
    return this.#literalBytes(tensor.dtype, tensor.shape, bytes, hint);
  }

  #literalBytes(dtype: DType, shape: readonly number[], bytes: Uint8Array, hint: string): string {
    const key = `${dtype}[${shape.join()}]${bytes.join()}`;
    const known = this.#literals.get(key);
    if (known !== undefined) return known;
    const name = this.#names.fresh(hint);
    this.#literals.set(key, name);
    this.#initializers.push({ kind: 'literal', name, dtype, shape, bytes });
    return name;
  }

  readonly #large = new Map<Tensor, string>();
  #largeLiteral(tensor: Tensor, hint: string): string {
    const known = this.#large.get(tensor) ?? this.weight(tensorData(tensor), hint);
    this.#large.set(tensor, known);
    return known;
  }
}
