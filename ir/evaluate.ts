import { evaluateDim, type Bindings, type Dim } from './dim.ts';
import { dtypes } from './dtypes/index.ts';
import { IrError } from './error.ts';
import { graphNamed, type Constant, type Graph, type Node, type Program, type Value } from './graph.ts';
import type { Observer } from './observe/observer.ts';
import { ops, type OpName } from './ops/index.ts';
import type { Primitive, RawTensor } from './op.ts';
import { decomposeWithOrigins, type Origin } from './passes/decompose.ts';
import { elementCount, readTensor, type Tensor, type TensorData } from './tensor.ts';

/** Weights larger than this are read a few rows at a time by the ops that can. */
const STREAM_BYTES = 64 * 1024 * 1024;
/**
 * Nodes compute without a pause: signals and timers of the process get their turn at least this often, between nodes.
 */
const YIELD_MS = 50;
/** Decoded weights that a runner keeps between runs, in bytes of the stored form. */
const CACHE_BYTES = 256 * 1024 * 1024;

/** Decoded weights, kept while they fit. */
class WeightCache {
  readonly #kept = new Map<TensorData, Tensor>();
  #bytes = 0;

  async read(data: TensorData): Promise<Tensor> {
    const known = this.#kept.get(data);
    if (known) return known;
    const tensor = await readTensor(data);
    if (this.#bytes + data.byteLength <= CACHE_BYTES) {
      this.#bytes += data.byteLength;
      this.#kept.set(data, tensor);
    }
    return tensor;
  }
}

/** A graph as it is evaluated. */
interface Prepared {
  readonly graph: Graph;
  readonly origins: ReadonlyMap<Value, Origin>;
  /** Constants, and results that ops give as unread weights: their nodes need not run. */
  readonly constants: ReadonlyMap<Value, Constant>;
}

const preparedGraphs = new WeakMap<Graph, Prepared>();
function prepare(graph: Graph): Prepared {
  const known = preparedGraphs.get(graph) ?? preparePrimitives(decomposeWithOrigins(graph));
  preparedGraphs.set(graph, known);
  return known;
}

function preparePrimitives({ graph, origins }: Omit<Prepared, 'constants'>): Prepared {
  const constants = new Map<Value, Constant>(graph.constants.map((c) => [c.value, c]));
  for (const node of graph.nodes) {
    const { lazily } = ops[node.op] as unknown as Primitive;
    const weights = node.inputs.flatMap((input) => {
      const constant = constants.get(input);
      return constant?.kind === 'weight' ? [constant.data] : [];
    });
    const [value] = node.outputs;
    if (lazily && weights.length === node.inputs.length)
      constants.set(value!, { kind: 'weight', value: value!, data: lazily(weights, node.attrs) });
  }
  return { graph, origins, constants };
}

export interface EvaluateOptions {
  /** Names of intermediate values to return beside the outputs. */
  readonly stages?: readonly string[];
  readonly cache?: WeightCache;
  /** Weights of more bytes are read a few rows at a time by the ops that can. */
  readonly streamBytes?: number;
  /** Hears of every input and result. */
  readonly observe?: Observer;
  /**
   * Other implementations of ops over an unread weight, for speed: they may round otherwise than the definition does.
   */
  readonly kernels?: Kernels;
}

/** In the form of `evaluateStreamed`: operands without the weight, the weight, attributes. */
export type Kernels = { readonly [N in OpName]?: NonNullable<Primitive['evaluateStreamed']> };

/**
 * The definition of what a graph means: float64 arithmetic, each result rounded to its declared dtype.
 * Returns outputs and, of the asked stages, those that the graph has, by name. Weights of more than `streamBytes` bytes
 * are read a few rows at a time where the op can. @throws IrError when inputs do not fit.
 */
export async function evaluateGraph(
  graph: Graph,
  inputs: Readonly<Record<string, Tensor>>,
  options: EvaluateOptions = {},
): Promise<Record<string, Tensor>> {
  const prepared = prepare(graph);
  const { outputs, stages, inputs: parameters } = prepared.graph;
  const weights = prepared.constants;
  const nodes = prepared.graph.nodes.filter((node) => !weights.has(node.outputs[0]!));
  const { cache = new WeightCache(), streamBytes = STREAM_BYTES, kernels = {}, observe } = options;
  const bindings = new Map<string, number>();
  const values = new Map<Value, Tensor>();
  for (const parameter of parameters) {
    const tensor = inputs[parameter.name];
    if (!tensor) throw new IrError(`graph ${graph.name} needs the input "${parameter.name}"`);
    if (tensor.dtype !== parameter.type.dtype)
      throw new IrError(`input "${parameter.name}" is ${tensor.dtype}, not ${parameter.type.dtype}`);
    if (tensor.data.length !== elementCount(tensor.shape))
      throw new IrError(
        `input "${parameter.name}" has ${tensor.data.length} elements for shape [${tensor.shape.join(', ')}]`,
      );
    values.set(parameter, tensor);
  }
  bindInputs(parameters, values, bindings);
  for (const [{ name }, tensor] of values) observe?.({ graph: graph.name, value: name, op: 'input', tensor });
  const wanted = [...outputs, ...stages.filter((s) => options.stages?.includes(s.name))];
  const uses = countUses(
    nodes,
    wanted.map((port) => port.value),
  );
  const read = async (value: Value): Promise<Tensor> => {
    const constant = weights.get(value);
    const tensor =
      values.get(value) ?? (constant?.kind === 'weight' ? await cache.read(constant.data) : constant?.tensor);
    if (!tensor) throw new IrError(`%${value.name} has no value in graph ${graph.name}`);
    return tensor;
  };
  let yielded = performance.now();
  for (const node of nodes) {
    if (!node.outputs.some((v) => uses.has(v))) continue;
    if (performance.now() - yielded > YIELD_MS) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      yielded = performance.now();
    }
    const results = await runNode(node, { weights, read, bindings, streamBytes, kernels });
    node.outputs.forEach((value, i) => {
      const raw = results[i]!;
      bindShape(value.name, value.type.shape, raw.shape, bindings);
      const tensor = rounded(value, raw);
      values.set(value, tensor);
      if (observe) observe({ graph: graph.name, ...observed(prepared.origins.get(value)!), tensor });
    });
    for (const value of node.inputs) {
      const left = (uses.get(value) ?? 1) - 1;
      uses.set(value, left);
      if (left === 0) values.delete(value);
    }
  }
  const results: Record<string, Tensor> = {};
  for (const port of wanted) results[port.name] = await read(port.value);
  return results;
}

interface NodeContext {
  readonly weights: ReadonlyMap<Value, Constant>;
  readonly read: (value: Value) => Promise<Tensor>;
  readonly bindings: Bindings;
  readonly streamBytes: number;
  readonly kernels: Kernels;
}

async function runNode(
  node: Node,
  { weights, read, bindings, streamBytes, kernels }: NodeContext,
): Promise<readonly RawTensor[]> {
  const op = ops[node.op] as unknown as Primitive;
  const attrs = node.attrs as Readonly<Record<string, unknown>>;
  if (op.kind !== 'primitive') throw new IrError(`${node.op} was not decomposed`);
  const streamed = op.streamedOperand === undefined ? undefined : weights.get(node.inputs[op.streamedOperand]!);
  const kernel =
    kernels[node.op] ??
    (streamed?.kind === 'weight' && streamed.data.byteLength > streamBytes ? op.evaluateStreamed : undefined);
  if (kernel && streamed?.kind === 'weight') {
    const others = node.inputs.filter((_, i) => i !== op.streamedOperand);
    return kernel(await Promise.all(others.map(read)), streamed.data, attrs);
  }
  return op.evaluate(await Promise.all(node.inputs.map(read)), attrs, bindings);
}

function observed({ node, value, step }: Origin): Pick<Parameters<Observer>[0], 'value' | 'op' | 'step'> {
  return { value: (value ?? node.outputs[0]!).name, op: node.op, ...(step && { step }) };
}

function rounded(value: Value, raw: RawTensor): Tensor {
  const codec = dtypes[value.type.dtype];
  const data = codec.allocate(raw.data.length);
  if (value.type.dtype === 'f32') data.set(raw.data);
  else for (let i = 0; i < data.length; i++) data[i] = codec.round(raw.data[i]!);
  return { dtype: value.type.dtype, shape: raw.shape, data };
}

/**
 * Binds the symbols of all inputs, in whatever order they determine each other, then checks every shape against them.
 */
function bindInputs(
  parameters: readonly Value[],
  values: ReadonlyMap<Value, Tensor>,
  bindings: Map<string, number>,
): void {
  for (let known = -1; known !== bindings.size;) {
    known = bindings.size;
    for (const parameter of parameters)
      bindShape(parameter.name, parameter.type.shape, values.get(parameter)!.shape, bindings);
  }
}

/** Gives new symbols their values and checks the known ones. A dimension with two unknown symbols waits. */
function bindShape(
  name: string,
  declared: readonly Dim[],
  actual: readonly number[],
  bindings: Map<string, number>,
): void {
  const mismatch = () =>
    new IrError(
      `%${name} has shape [${actual.join(', ')}] where its type says otherwise (${[...bindings].map(([s, v]) => `${s} = ${v}`).join(', ')})`,
    );
  if (declared.length !== actual.length) throw mismatch();
  declared.forEach((d, axis) => {
    if (typeof d !== 'number') {
      const unknown = d.terms.filter(([symbol]) => !bindings.has(symbol));
      if (unknown.length === 1) {
        const [symbol, coefficient] = unknown[0]!;
        const rest = { terms: d.terms.filter(([s]) => s !== symbol), offset: d.offset };
        const size = (actual[axis]! - evaluateDim(rest, bindings)) / coefficient;
        if (!Number.isSafeInteger(size) || size < 0) throw mismatch();
        bindings.set(symbol, size);
      } else if (unknown.length > 1) return;
    }
    if (evaluateDim(d, bindings) !== actual[axis]) throw mismatch();
  });
}

function countUses(nodes: readonly Node[], kept: readonly Value[]): Map<Value, number> {
  const uses = new Map<Value, number>(kept.map((value) => [value, Infinity]));
  for (const node of [...nodes].reverse())
    if (node.outputs.some((v) => uses.has(v)))
      for (const value of node.inputs) uses.set(value, (uses.get(value) ?? 0) + 1);
  return uses;
}

/** A runner over a program, beside the real runtimes: the reference that bundles are compared with. */
export function evaluatorRunner(
  program: Program,
  description = 'IR evaluator, float64',
  { observe, kernels }: Pick<EvaluateOptions, 'observe' | 'kernels'> = {},
) {
  const cache = new WeightCache();
  return {
    description,
    inputDtypes: async (graph: string) =>
      Object.fromEntries(graphNamed(program, graph).inputs.map(({ name, type }) => [name, type.dtype])),
    run: (
      graph: string,
      inputs: Readonly<Record<string, Tensor>>,
      options: { readonly stages?: readonly string[] } = {},
    ) =>
      evaluateGraph(graphNamed(program, graph), inputs, {
        ...options,
        cache,
        ...(observe && { observe }),
        ...(kernels && { kernels }),
      }),
    dispose: async () => {},
  };
}
