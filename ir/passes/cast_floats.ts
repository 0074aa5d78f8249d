import { GraphBuilder } from '../builder.ts';
import { isFloat, type DType } from '../dtypes/index.ts';
import type { Constant, Graph, Node, Value } from '../graph.ts';
import type { Op } from '../op.ts';
import { cast } from '../ops/cast.ts';
import { ops, type OpName } from '../ops/index.ts';
import { sameGraph } from '../same_graph.ts';
import { tensorOf } from '../tensor.ts';
import { tensorType } from '../type.ts';
import { castData } from '../views/cast.ts';
import type { Pass } from './pass.ts';

/**
 * Where an op computes once the graph is cast:
 * - `compute`: in the target dtype, constants included. The bulk of the work and of the bytes.
 * - `keep f32`: in f32: sums over many terms, the residual stream, exponentials, angles.
 * - `follow all operands`: in the target dtype when every float operand is a computed value that has it, else in f32.
 *   So gate · up stays narrow, while q · scale, with a constant, happens in f32 before q is rounded.
 * - `follow any operand`: in the target dtype when one computed operand has it. For ops that only move elements:
 *   rounding before or after the move is the same, and a narrow KV cache is not widened to be extended.
 */
export type CastPolicy = 'compute' | 'keep f32' | 'follow all operands' | 'follow any operand';

/** The decision for every op: a new op does not compile without one. */
const POLICIES: { readonly [N in OpName]: CastPolicy } = {
  add: 'keep f32',
  add_rms_norm: 'keep f32',
  and: 'keep f32',
  append_cache: 'follow any operand',
  update_cache: 'follow any operand',
  attention: 'compute',
  cast: 'keep f32',
  concat: 'follow any operand',
  conv2d: 'compute',
  dequantize: 'compute',
  dim_value: 'keep f32',
  div: 'keep f32',
  equal: 'keep f32',
  erf: 'keep f32',
  expand: 'follow any operand',
  gather: 'compute',
  gelu_erf: 'compute',
  gelu_tanh: 'compute',
  iota: 'keep f32',
  layer_norm: 'keep f32',
  less_equal: 'keep f32',
  linear: 'compute',
  matmul: 'compute',
  mul: 'follow all operands',
  not: 'keep f32',
  or: 'keep f32',
  quantized_gather: 'compute',
  quantized_linear: 'compute',
  reduce_mean: 'keep f32',
  reshape: 'follow any operand',
  rms_norm: 'keep f32',
  rope: 'keep f32',
  slice: 'follow any operand',
  softmax: 'keep f32',
  sqrt: 'keep f32',
  sub: 'keep f32',
  take_last: 'follow any operand',
  tanh: 'keep f32',
  transpose: 'follow any operand',
  where: 'follow all operands',
};

/** Operands that an op wants in f32 even when it computes in the target dtype. */
const F32_OPERANDS: { readonly [N in OpName]?: readonly string[] } = { attention: ['bias?'] };

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
 * Floats become `to` where POLICIES says so, with explicit casts at the borders. Runs before decompose: composites
 * carry the intent.
 */
export function castFloats({ to, keep = new Map(), isNarrowPort = isCachePort }: CastFloatsOptions): Pass {
  return {
    name: 'cast_floats',
    doc: 'Products, convolutions, gelu and the embedding compute in the target dtype; residual stream, norms, softmax and rope stay f32.',
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
      return this.#read(value, F32_OPERANDS[node.op]?.includes(op.operands[i]!) ? 'f32' : dtype);
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
    switch (POLICIES[node.op]) {
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
