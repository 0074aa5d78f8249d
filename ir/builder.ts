import type { AttrSchema, AttrValues } from './attr.ts';
import type { DType } from './dtypes/index.ts';
import { IrTypeError } from './error.ts';
import type { Constant, Graph, Node, Port, Value } from './graph.ts';
import type { Emitter, Op } from './op.ts';
import { tensorOf, type Tensor, type TensorData } from './tensor.ts';
import { tensorType, type TensorType } from './type.ts';

/** Builds one graph, checking each node as it is added. Equal literals are shared. */
export class GraphBuilder implements Emitter {
  readonly #name: string;
  readonly #inputs: Value[] = [];
  readonly #constants: Constant[] = [];
  readonly #nodes: Node[] = [];
  readonly #outputs: Port[] = [];
  readonly #stages: Port[] = [];
  readonly #names = new Map<string, number>();
  readonly #literals = new Map<string, Value>();
  readonly #definitions = new Map<Value, Node | Constant>();
  #scope = '';

  constructor(name: string) {
    this.#name = name;
  }

  /** Prefixes the names of what `build` adds: names are for people and messages. */
  within<T>(scope: string, build: () => T): T {
    const outer = this.#scope;
    this.#scope = `${outer}${scope}.`;
    try {
      return build();
    } finally {
      this.#scope = outer;
    }
  }

  input(name: string, type: TensorType): Value {
    const value = { name: this.#unique(name), type };
    this.#inputs.push(value);
    return value;
  }

  weight(name: string, data: TensorData): Value {
    const value = { name: this.#unique(name), type: tensorType(data.dtype, data.shape) };
    return this.#constant({ kind: 'weight', value, data });
  }

  literal(dtype: DType, shape: readonly number[], values: readonly number[]): Value {
    return this.literalTensor(tensorOf(dtype, shape, values));
  }

  literalTensor(tensor: Tensor, name = 'c'): Value {
    const key = `${tensor.dtype}[${tensor.shape}]${Array.from(tensor.data, (x) => (Object.is(x, -0) ? '-0' : String(x)))}`;
    const known = this.#literals.get(key);
    if (known) return known;
    const value = { name: this.#unique(name), type: tensorType(tensor.dtype, tensor.shape) };
    this.#literals.set(key, value);
    return this.#constant({ kind: 'literal', value, tensor });
  }

  op<A extends AttrSchema>(op: Op<string, A>, inputs: readonly Value[], attrs: AttrValues<A>): Value {
    return this.node(op, inputs, attrs)[0]!;
  }

  /** Adds a node with all its results; `names` suggests their names. @throws IrTypeError */
  node<A extends AttrSchema>(
    op: Op<string, A>,
    inputs: readonly Value[],
    attrs: AttrValues<A>,
    names: readonly string[] = [],
  ): readonly Value[] {
    checkOperandCount(op, inputs.length);
    const types = op.infer(
      inputs.map((v) => v.type),
      attrs,
    );
    const outputs = types.map((type, i) => ({ name: this.#unique(names[i] ?? `${this.#scope}${op.name}`), type }));
    // the one place where a typed op becomes a union member
    const node = { op: op.name, inputs, attrs, outputs } as unknown as Node;
    this.#nodes.push(node);
    for (const output of outputs) this.#definitions.set(output, node);
    return outputs;
  }

  output(name: string, value: Value): void {
    this.#outputs.push({ name, value });
  }

  stage(name: string, value: Value): void {
    this.#stages.push({ name, value });
  }

  /** The node or constant that makes a value; undefined for inputs. */
  definitionOf(value: Value): Node | Constant | undefined {
    return this.#definitions.get(value);
  }

  build(): Graph {
    return {
      name: this.#name,
      inputs: this.#inputs,
      constants: this.#constants,
      nodes: this.#nodes,
      outputs: this.#outputs,
      stages: this.#stages,
    };
  }

  #constant(constant: Constant): Value {
    this.#constants.push(constant);
    this.#definitions.set(constant.value, constant);
    return constant.value;
  }

  #unique(hint: string): string {
    const count = this.#names.get(hint);
    this.#names.set(hint, (count ?? 0) + 1);
    if (count === undefined) return hint;
    return this.#unique(`${hint}_${count}`);
  }
}

/** @throws IrTypeError when an op with these operands cannot take `count`. */
export function checkOperandCount(op: Op, count: number): void {
  const optional = op.operands.filter((o) => o.endsWith('?')).length;
  const variadic = op.operands.some((o) => o.endsWith('...'));
  const most = variadic ? Infinity : op.operands.length;
  const least = op.operands.length - optional;
  if (count < least || count > most)
    throw new IrTypeError(`${op.name} takes (${op.operands.join(', ')}), not ${count} operands`);
}
