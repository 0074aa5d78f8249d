import { evaluateDim, type Bindings, type Dim } from './dim.ts';
import { dtypes } from './dtypes/index.ts';
import { IrError } from './error.ts';
import { graphNamed, type Constant, type Graph, type Node, type Program, type Value } from './graph.ts';
import { ops } from './ops/index.ts';
import type { Primitive, RawTensor } from './op.ts';
import { decompose } from './passes/decompose.ts';
import { elementCount, readTensor, type Tensor, type TensorData } from './tensor.ts';

/** Weights larger than this are read a few rows at a time by the ops that can. */
const STREAM_BYTES = 64 * 1024 * 1024;
/** Nodes compute without a pause: signals and timers of the process get their turn at least this often, between nodes. */
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

const decomposed = new WeakMap<Graph, Graph>();
function primitivesOf(graph: Graph): Graph {
  const known = decomposed.get(graph) ?? decompose(new Set()).run(graph);
  decomposed.set(graph, known);
  return known;
}

/**
 * The definition of what a graph means: float64 arithmetic, each result rounded to its declared dtype.
 * Returns outputs and, of the asked stages, those that the graph has, by name. Weights of more than `streamBytes` bytes
 * are read a few rows at a time where the op can. @throws IrError when inputs do not fit.
 */
export async function evaluateGraph(
  graph: Graph,
  inputs: Readonly<Record<string, Tensor>>,
  options: { readonly stages?: readonly string[]; readonly cache?: WeightCache; readonly streamBytes?: number } = {},
): Promise<Record<string, Tensor>> {
  const { nodes, constants, outputs, stages, inputs: parameters } = primitivesOf(graph);
  const { cache = new WeightCache(), streamBytes = STREAM_BYTES } = options;
  const bindings = new Map<string, number>();
  const values = new Map<Value, Tensor>();
  for (const parameter of parameters) {
    const tensor = inputs[parameter.name];
    if (!tensor) throw new IrError(`graph ${graph.name} needs the input "${parameter.name}"`);
    if (tensor.dtype !== parameter.type.dtype) throw new IrError(`input "${parameter.name}" is ${tensor.dtype}, not ${parameter.type.dtype}`);
    if (tensor.data.length !== elementCount(tensor.shape)) throw new IrError(`input "${parameter.name}" has ${tensor.data.length} elements for shape [${tensor.shape.join(', ')}]`);
    values.set(parameter, tensor);
  }
  bindInputs(parameters, values, bindings);
  const weights = new Map<Value, Constant>(constants.map((c) => [c.value, c]));
  const wanted = [...outputs, ...stages.filter((s) => options.stages?.includes(s.name))];
  const uses = countUses(nodes, wanted.map((port) => port.value));
  const read = async (value: Value): Promise<Tensor> => {
    const constant = weights.get(value);
    const tensor = values.get(value) ?? (constant?.kind === 'weight' ? await cache.read(constant.data) : constant?.tensor);
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
    const results = await runNode(node, weights, read, bindings, streamBytes);
    node.outputs.forEach((value, i) => {
      const raw = results[i]!;
      bindShape(value.name, value.type.shape, raw.shape, bindings);
      values.set(value, rounded(value, raw));
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

async function runNode(node: Node, weights: ReadonlyMap<Value, Constant>, read: (value: Value) => Promise<Tensor>, bindings: Bindings, streamBytes: number): Promise<readonly RawTensor[]> {
  const op = ops[node.op] as unknown as Primitive;
  const attrs = node.attrs as Readonly<Record<string, unknown>>;
  if (op.kind !== 'primitive') throw new IrError(`${node.op} was not decomposed`);
  const streamed = op.streamedOperand === undefined ? undefined : weights.get(node.inputs[op.streamedOperand]!);
  if (op.evaluateStreamed && streamed?.kind === 'weight' && streamed.data.byteLength > streamBytes) {
    const others = node.inputs.filter((_, i) => i !== op.streamedOperand);
    return op.evaluateStreamed(await Promise.all(others.map(read)), streamed.data, attrs);
  }
  return op.evaluate(await Promise.all(node.inputs.map(read)), attrs, bindings);
}

function rounded(value: Value, raw: RawTensor): Tensor {
  const codec = dtypes[value.type.dtype];
  const data = codec.allocate(raw.data.length);
  if (value.type.dtype === 'f32') data.set(raw.data);
  else for (let i = 0; i < data.length; i++) data[i] = codec.round(raw.data[i]!);
  return { dtype: value.type.dtype, shape: raw.shape, data };
}

/** Binds the symbols of all inputs, in whatever order they determine each other, then checks every shape against them. */
function bindInputs(parameters: readonly Value[], values: ReadonlyMap<Value, Tensor>, bindings: Map<string, number>): void {
  for (let known = -1; known !== bindings.size; ) {
    known = bindings.size;
    for (const parameter of parameters) bindShape(parameter.name, parameter.type.shape, values.get(parameter)!.shape, bindings);
  }
}

/** Gives new symbols their values and checks the known ones. A dimension with two unknown symbols waits. */
function bindShape(name: string, declared: readonly Dim[], actual: readonly number[], bindings: Map<string, number>): void {
  const mismatch = () => new IrError(`%${name} has shape [${actual.join(', ')}] where its type says otherwise (${[...bindings].map(([s, v]) => `${s} = ${v}`).join(', ')})`);
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
    if (node.outputs.some((v) => uses.has(v))) for (const value of node.inputs) uses.set(value, (uses.get(value) ?? 0) + 1);
  return uses;
}

/** A runner over a program, beside the real runtimes: the reference that bundles are compared with. */
export function evaluatorRunner(program: Program, description = 'IR evaluator, float64') {
  const cache = new WeightCache();
  return {
    description,
    inputDtypes: async (graph: string) => Object.fromEntries(graphNamed(program, graph).inputs.map(({ name, type }) => [name, type.dtype])),
    run: (graph: string, inputs: Readonly<Record<string, Tensor>>, options: { readonly stages?: readonly string[] } = {}) =>
      evaluateGraph(graphNamed(program, graph), inputs, { ...options, cache }),
    dispose: async () => {},
  };
}
