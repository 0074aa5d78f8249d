import { GraphBuilder } from '../builder.ts';
import { isFloat, type DType } from '../dtypes/index.ts';
import type { Constant, Graph, Node, Value } from '../graph.ts';
import type { Op } from '../op.ts';
import { cast } from '../ops/cast.ts';
import { ops } from '../ops/index.ts';
import { sameGraph } from '../same_graph.ts';
import { tensorOf } from '../tensor.ts';
import { tensorType } from '../type.ts';
import { castData } from '../views/cast.ts';
import type { Pass } from './pass.ts';

/** What stays f32 in one graph, by names of values. */
export interface Keep {
  /**
   * Values near the limit of the target: what makes them and what reads them computes in f32, on f32 weights; ports of
   * them stay f32.
   */
  readonly values: ReadonlySet<string>;
  /**
   * Results whose op computes in f32 because a step inside of it is near the limit; the result itself may be rounded.
   */
  readonly ops: ReadonlySet<string>;
}

export interface CastFloatsOptions {
  readonly to: 'f16' | 'bf16';
  /** By the name of the graph. */
  readonly keep?: ReadonlyMap<string, Keep>;
  /** Inputs and outputs that take the target dtype; the others keep theirs. Default: the KV cache. */
  readonly isNarrowPort?: (name: string) => boolean;
}

/** The KV cache as transformers.js names it. */
function isCachePort(name: string): boolean {
  return name.startsWith('past_key_values.') || name.startsWith('present.');
}

/** The input that takes at the next step what this output gave: both have one dtype. */
export function cacheInputOf(output: string): string | undefined {
  return output.startsWith('present.') ? output.replace('present.', 'past_key_values.') : undefined;
}

/**
 * Floats become `to` where the ops' policies say so (`castPolicy`, ir/op.ts), with explicit casts at the borders. Runs
 * before decompose: composites carry the intent.
 */
export function castFloats({ to, keep = new Map(), isNarrowPort = isCachePort }: CastFloatsOptions): Pass {
  return {
    name: 'cast_floats',
    doc: 'Products, convolutions, gelu and the embedding compute in the target dtype; residual stream, norms, softmax and rope stay f32.',
    rounds: to,
    run(graph) {
      const result = new Caster(graph, { to, keep, isNarrowPort }).run();
      return sameGraph(graph, result) ? graph : result;
    },
  };
}

/**
 * Names of the values that castFloats would round to `to`, and of the ops that would compute in it: what a range can
 * matter to.
 */
export function narrowedBy(
  graph: Graph,
  { to, keep = new Map(), isNarrowPort = isCachePort }: CastFloatsOptions,
): Keep {
  const caster = new Caster(graph, { to, keep, isNarrowPort });
  caster.run();
  return caster.narrowed();
}

/** One value of the old graph in the new one: computed once in one dtype, cast to others on demand, each cast once. */
interface Forms {
  readonly name: string;
  /** Undefined for constants, which take any dtype without a node. */
  readonly computedIn?: DType;
  readonly constant?: Constant;
  readonly byDType: Map<DType, Value>;
  /** Names that casts of the old graph gave to forms. */
  readonly names: Map<DType, string>;
}

class Caster {
  readonly #graph: Graph;
  readonly #to: DType;
  readonly #keep: Keep;
  readonly #isNarrowPort: (name: string) => boolean;
  readonly #builder: GraphBuilder;
  readonly #forms = new Map<Value, Forms>();

  constructor(graph: Graph, { to, keep, isNarrowPort }: Required<CastFloatsOptions>) {
    this.#graph = graph;
    this.#to = to;
    this.#keep = keep.get(graph.name) ?? { values: new Set(), ops: new Set() };
    this.#isNarrowPort = isNarrowPort;
    this.#builder = new GraphBuilder(graph.name);
  }

  run(): Graph {
    const { inputs, constants, nodes, outputs, stages } = this.#graph;
    for (const input of inputs)
      this.#computed(
        input,
        this.#builder.input(input.name, tensorType(this.#portDType(input.name, input), input.type.shape)),
      );
    for (const constant of constants)
      this.#forms.set(constant.value, { name: constant.value.name, constant, byDType: new Map(), names: new Map() });
    for (const node of nodes) this.#node(node);
    for (const { name, value } of stages)
      this.#builder.stage(name, this.#read(value, this.#formsOf(value).computedIn ?? value.type.dtype));
    for (const { name, value } of outputs) this.#builder.output(name, this.#read(value, this.#portDType(name, value)));
    return this.#builder.build();
  }

  /** After `run`. */
  narrowed(): Keep {
    const { inputs, nodes } = this.#graph;
    const isNarrow = (value: Value) => isFloat(value.type.dtype) && this.#formsOf(value).byDType.has(this.#to);
    const computed = nodes.filter((node) => this.#dtypeFor(node) === this.#to).flatMap((node) => node.outputs);
    const names = (values: readonly Value[]) => new Set(values.map(({ name }) => name));
    return {
      values: names([...inputs, ...nodes.flatMap((node) => node.outputs)].filter(isNarrow)),
      ops: names(computed),
    };
  }

  #node(node: Node): void {
    if (node.op === 'cast') return this.#castNode(node.inputs[0]!, node.attrs.to, node.outputs[0]!);
    const op = ops[node.op] as unknown as Op;
    const dtype = this.#dtypeFor(node);
    const inputs = node.inputs.map((value, i) => {
      if (!isFloat(value.type.dtype)) return this.#read(value, value.type.dtype);
      return this.#read(value, op.f32Operands?.includes(op.operands[i]!) ? 'f32' : dtype);
    });
    const results = this.#builder.node(
      op,
      inputs,
      node.attrs,
      node.outputs.map((v) => v.name),
    );
    node.outputs.forEach((value, i) => this.#computed(value, results[i]!));
  }

  /** Widening is exact, so it is only another form of its operand; rounding is kept. */
  #castNode(x: Value, to: DType, result: Value): void {
    const forms = this.#formsOf(x);
    const from = forms.computedIn ?? x.type.dtype;
    if (!forms.names.has(to)) forms.names.set(to, result.name);
    if (to === from || (to === 'f32' && isFloat(from))) this.#forms.set(result, forms);
    else if (isFloat(from) && isFloat(to)) this.#computed(result, this.#read(x, to));
    else this.#computed(result, this.#builder.node(cast, [this.#read(x, from)], { to }, [result.name])[0]!);
  }

  #dtypeFor(node: Node): DType {
    const { values, ops: kept } = this.#keep;
    if (
      [...node.inputs, ...node.outputs].some((value) => values.has(value.name)) ||
      node.outputs.some((value) => kept.has(value.name))
    )
      return 'f32';
    const floats = node.inputs.filter((value) => isFloat(value.type.dtype));
    const isNarrow = (value: Value) => this.#formsOf(value).computedIn === this.#to;
    switch (ops[node.op].castPolicy) {
      case 'compute':
        return this.#to;
      case 'keep f32':
        return 'f32';
      case 'follow all operands':
        return floats.every(isNarrow) ? this.#to : 'f32';
      case 'follow any operand':
        return floats.some(isNarrow) ? this.#to : 'f32';
    }
  }

  /** The value in `dtype`, adding a cast, or a constant of that dtype, the first time. */
  #read(value: Value, dtype: DType): Value {
    const forms = this.#formsOf(value);
    const form = forms.byDType.get(dtype) ?? this.#make(forms, dtype);
    forms.byDType.set(dtype, form);
    return form;
  }

  #make({ name, constant, computedIn, byDType, names }: Forms, dtype: DType): Value {
    if (constant?.kind === 'weight') return this.#builder.weight(name, castData(constant.data, dtype));
    if (constant)
      return this.#builder.literalTensor(
        dtype === constant.tensor.dtype
          ? constant.tensor
          : tensorOf(dtype, constant.tensor.shape, constant.tensor.data),
        name,
      );
    return this.#builder.node(cast, [byDType.get(computedIn!)!], { to: dtype }, [
      names.get(dtype) ?? `${name}_${dtype}`,
    ])[0]!;
  }

  #computed(value: Value, form: Value): void {
    const dtype = form.type.dtype;
    this.#forms.set(value, { name: form.name, computedIn: dtype, byDType: new Map([[dtype, form]]), names: new Map() });
  }

  #portDType(port: string, { name, type }: Value): DType {
    return isFloat(type.dtype) && this.#isNarrowPort(port) && !this.#keep.values.has(name) ? this.#to : type.dtype;
  }

  #formsOf(value: Value): Forms {
    const forms = this.#forms.get(value);
    if (!forms) throw new Error(`value %${value.name} is used before it is defined in graph ${this.#graph.name}`);
    return forms;
  }
}
