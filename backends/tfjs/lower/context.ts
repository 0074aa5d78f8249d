import type { DType } from '../../../ir/dtypes/index.ts';
import type { Constant, Graph, Value } from '../../../ir/graph.ts';
import { tensorData, tensorOf, type Tensor, type TensorData } from '../../../ir/tensor.ts';
import { castData } from '../../../ir/views/cast.ts';
import { viewBehind } from '../../../ir/views/view.ts';
import { BackendError } from '../../error.ts';
import type { TfAttr, TfDType, TfGraph, TfNode, TfPort, TfType, TfWeight } from '../graph.ts';
import type { Operand } from './operand.ts';
import { portShape } from './ports.ts';
import { Sizes } from './sizes.ts';

/** How tfjs has a dtype of the IR; floats that are only stored are float32 once they are loaded. */
export function tfDType(dtype: DType): TfDType {
  if (dtype === 'f32' || dtype === 'f16') return 'float32';
  if (dtype === 'i64' || dtype === 'i32') return 'int32';
  if (dtype === 'bool') return 'bool';
  throw new BackendError('unsupported', `tfjs has no ${dtype}`);
}

/** The graph model under construction: what lowering rules write into. */
export class LoweringContext {
  readonly sizes: Sizes;
  readonly packed: boolean;
  /** Matrices stay [N, K], as rows that a host looks up. */
  readonly rowsFirst: boolean;
  readonly #graph: Graph;
  readonly #constants: ReadonlyMap<Value, Constant>;
  readonly #taken = new Set<string>();
  readonly #names = new Map<Value, string>();
  readonly #same = new Map<Value, Value>();
  readonly #weights = new Map<TensorData, Operand>();
  readonly #sources = new Map<TensorData, string>();
  readonly #literals = new Map<string, Operand>();
  readonly #shared = new Map<string, Operand>();
  readonly #nodes: TfNode[] = [];
  readonly #stored: TfWeight[] = [];
  readonly #inputs: TfPort[];

  constructor(
    graph: Graph,
    { packed = false, rowsFirst = false }: { readonly packed?: boolean; readonly rowsFirst?: boolean } = {},
  ) {
    this.#graph = graph;
    this.packed = packed;
    this.rowsFirst = rowsFirst;
    this.#constants = new Map(graph.constants.map((c) => [c.value, c]));
    for (const { name } of [...graph.inputs, ...graph.outputs]) this.#taken.add(name);
    this.sizes = new Sizes(this);
    this.#inputs = graph.inputs.map((value) => {
      this.#names.set(value, value.name);
      return {
        name: value.name,
        tensor: value.name,
        dtype: tfDType(value.type.dtype),
        shape: portShape(value.type.shape),
      };
    });
    this.sizes.learn(graph.inputs);
  }

  /** The tensor that holds a value; a constant is stored when it is first used. */
  tensor(given: Value): Operand {
    const value = this.#behind(given);
    const constant = this.#constants.get(value);
    if (constant)
      return constant.kind === 'weight'
        ? this.floatWeight(constant.data, value.name)
        : this.#literalTensor(constant.tensor, value.name);
    const name = this.#names.get(value);
    if (name === undefined) throw new Error(`%${value.name} is used before it is made`);
    return { name, ...typeOf(value) };
  }

  /** The unread weight behind a value; undefined for what is computed or literal. */
  weightOf(value: Value): TensorData | undefined {
    const constant = this.#constants.get(this.#behind(value));
    return constant?.kind === 'weight' ? constant.data : undefined;
  }

  /**
   * One value is another, as behind a cast that changes nothing: a weight is not stored before somebody says in which
   * form.
   */
  equate(value: Value, other: Value): void {
    this.#same.set(value, this.#behind(other));
  }

  /** Another name for a tensor that is there already. */
  alias(value: Value, operand: Operand): void {
    this.#names.set(value, operand.name);
  }

  /** Adds the node that makes a value, under its name. */
  emit(op: string, inputs: readonly Operand[], result: Value, attrs: Readonly<Record<string, TfAttr>> = {}): void {
    const isPort = this.#graph.outputs.some((port) => port.name === result.name && port.value === result);
    const name = isPort ? result.name : this.#fresh(result.name);
    this.#push(op, inputs, name, typeOf(result), attrs);
    this.#names.set(result, name);
    this.sizes.learn([result]);
  }

  /** Adds a node on the way to a result. */
  step(
    op: string,
    inputs: readonly Operand[],
    hint: string,
    output: TfType,
    attrs: Readonly<Record<string, TfAttr>> = {},
  ): Operand {
    return this.#push(op, inputs, this.#fresh(hint), output, attrs);
  }

  /** What several rules need, made for the first. */
  shared(key: string, make: () => Operand): Operand {
    const known = this.#shared.get(key) ?? make();
    this.#shared.set(key, known);
    return known;
  }

  /**
   * A weight in the form that a rule wants it; the same data is stored once. Floats come as f32, stored as they are.
   */
  floatWeight(data: TensorData, hint: string): Operand {
    const dtype = tfDType(data.dtype);
    const wide = data.dtype === 'i64' ? castData(data, 'i32') : data;
    return this.weight(data, hint, {
      shape: data.shape,
      dtype,
      data: wide,
      ...(data.dtype === 'f16' && { quantization: { dtype: 'float16' } }),
    });
  }

  /** Scales, whose values were chosen among those of f16: stored so, whatever they were widened to since. */
  scaleWeight(data: TensorData, hint: string, source = data): Operand {
    return this.weight(data, hint, { shape: data.shape, dtype: 'float32', ...storedFloats(data) }, source);
  }

  /**
   * The same under any storage. `key` is what makes two of them the same: data in this form; `source` is what it was
   * made of.
   */
  weight(key: TensorData, hint: string, stored: Omit<TfWeight, 'name'>, source = key): Operand {
    const known = this.#weights.get(key);
    if (known) return known;
    const operand = { name: this.#fresh(hint), dtype: stored.dtype, rank: stored.shape.length };
    this.#weights.set(key, operand);
    this.#sources.set(source, operand.name);
    this.#stored.push({ name: operand.name, ...stored });
    return operand;
  }

  /** For kernels; equal ones are stored once. */
  literal(dtype: DType, shape: readonly number[], values: readonly number[], hint = 'const'): Operand {
    return this.#literalTensor(tensorOf(dtype, shape, values), hint);
  }

  /**
   * An int32 vector that the host reads, for shapes, axes and bounds: no kernel may take it, since WebGPU moves to the
   * device what one takes.
   */
  ints(...values: readonly number[]): Operand {
    return this.#literalTensor(
      tensorOf('i32', [values.length], values),
      `ints_${values.join('_').replaceAll('-', 'm')}`,
      'host',
    );
  }

  /** An int32 scalar that the host reads: see `ints`. */
  int(value: number): Operand {
    return this.#literalTensor(tensorOf('i32', [], [value]), `int_${String(value).replaceAll('-', 'm')}`, 'host');
  }

  /** Names of weights by the data that they were made of. */
  get stored(): ReadonlyMap<TensorData, string> {
    return this.#sources;
  }

  /** Gives outputs their names and closes the graph. */
  finish(): TfGraph {
    const port = (name: string, value: Value, tensor: string): TfPort => ({
      name,
      tensor,
      dtype: tfDType(value.type.dtype),
      shape: portShape(value.type.shape),
    });
    const outputs = this.#graph.outputs.map(({ name, value }) => {
      const made = this.tensor(value);
      if (made.name !== name) this.#push('Identity', [made], name, made, { T: { type: made.dtype } });
      return port(name, value, name);
    });
    const stages = this.#graph.stages.map(({ name, value }) => port(name, value, this.tensor(value).name));
    return { name: this.#graph.name, inputs: this.#inputs, outputs, stages, nodes: this.#nodes, weights: this.#stored };
  }

  #behind(value: Value): Value {
    return this.#same.get(value) ?? value;
  }

  #push(
    op: string,
    inputs: readonly Operand[],
    name: string,
    { dtype, rank }: TfType,
    attrs: Readonly<Record<string, TfAttr>>,
  ): Operand {
    this.#nodes.push({
      name,
      op,
      inputs: inputs.map((input) => input.name),
      attrs,
      inputTypes: inputs.map((input) => ({ dtype: input.dtype, rank: input.rank })),
      output: { dtype, rank },
    });
    return { name, dtype, rank };
  }

  #literalTensor(tensor: Tensor, hint: string, reader: 'host' | 'kernels' = 'kernels'): Operand {
    const dtype: DType = { float32: 'f32', int32: 'i32', bool: 'bool' }[tfDType(tensor.dtype)] as DType;
    const key = `${reader} ${dtype}[${tensor.shape.join()}]${Array.from(tensor.data, (x) => (Object.is(x, -0) ? '-0' : String(x))).join()}`;
    const known = this.#literals.get(key);
    if (known) return known;
    const data = tensorData(tensorOf(dtype, tensor.shape, tensor.data));
    const made = this.weight(data, hint, { shape: tensor.shape, dtype: tfDType(dtype), data });
    this.#literals.set(key, made);
    return made;
  }

  #fresh(hint: string): string {
    for (let count = 0; ; count++) {
      const name = count === 0 ? hint : `${hint}_${count}`;
      if (this.#taken.has(name)) continue;
      this.#taken.add(name);
      return name;
    }
  }
}

/** Floats as they are, or as the halves that they were widened from. */
export function storedFloats(data: TensorData): Pick<TfWeight, 'data' | 'quantization'> {
  const isHalf = data.dtype === 'f16' || viewBehind(data).source.dtype === 'f16';
  return isHalf ? { data: castData(data, 'f16'), quantization: { dtype: 'float16' } } : { data };
}

function typeOf({ type }: Value): TfType {
  return { dtype: tfDType(type.dtype), rank: type.shape.length };
}
