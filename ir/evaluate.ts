import type { Bindings } from './dim.ts';
import { dtypes } from './dtypes/index.ts';
import type { NumberArray } from './dtypes/codec.ts';
import { IrError } from './error.ts';
import { graphNamed, type Constant, type Graph, type Node, type Program, type Value } from './graph.ts';
import { isEarlier, type GraphRun } from './graph_run.ts';
import type { Observer } from './observe/observer.ts';
import { ops, type OpName } from './ops/index.ts';
import type { Primitive, RawTensor } from './op.ts';
import { decomposeWithOrigins, type Origin } from './passes/decompose.ts';
import { RunState, type Weights } from './run_state.ts';
import { giveBack, letGo, takeF32 } from './scratch.ts';
import { elementCount, type Tensor, type TensorData } from './tensor.ts';
import { WeightCache } from './weight_cache.ts';

/** Weights larger than this are read a few rows at a time by the ops that can. */
const STREAM_BYTES = 64 * 1024 * 1024;
/**
 * Nodes compute without a pause: signals and timers of the process get their turn at least this often, between nodes.
 */
const YIELD_MS = 50;

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
  readonly cache?: WeightCache;
  /** Weights of more bytes are read a few rows at a time by the ops that can. */
  readonly streamBytes?: number;
  /** Hears of every input and result. */
  readonly observe?: Observer;
  /** Other implementations of ops, for speed: sums may be in another order than the definition's. */
  readonly kernels?: Kernels;
  /** Hears of done and all units of work: elements of weights that were met. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Stops between two nodes: the reason is thrown. */
  readonly signal?: AbortSignal;
}

/** An operand of a kernel: a value, or a weight that is still unread. */
export type Operand = Tensor | TensorData;

/** An op in place of its `evaluate`: operands in their order, attributes; results in float64, not yet rounded. */
export type Kernel = (
  operands: readonly Operand[],
  attrs: Readonly<Record<string, unknown>>,
) => Promise<readonly RawTensor[]>;

export type Kernels = { readonly [N in OpName]?: Kernel };

/**
 * The definition of what a graph means: float64 arithmetic, each result rounded to its declared dtype.
 * Returns outputs and, of the asked stages, those that the graph has, by name. Weights of more than `streamBytes` bytes
 * are read a few rows at a time where the op can. @throws IrError when inputs do not fit.
 */
export async function evaluateGraph(
  graph: Graph,
  inputs: Readonly<Record<string, Tensor>>,
  { stages, ...options }: EvaluateOptions & Pick<GraphRun, 'stages'> = {},
): Promise<Record<string, Tensor>> {
  const [results] = await evaluateTogether(graph, [{ inputs, ...(stages && { stages }) }], options);
  return results!;
}

/**
 * The same for several runs, node by node: each weight is read once for all of them, and products by it are one. A run
 * may take what an earlier one of the list gives.
 */
export async function evaluateTogether(
  graph: Graph,
  runs: readonly GraphRun[],
  options: EvaluateOptions = {},
): Promise<Record<string, Tensor>[]> {
  const prepared = prepare(graph);
  const weights = prepared.constants;
  const nodes = prepared.graph.nodes.filter((node) => !weights.has(node.outputs[0]!));
  const { cache = new WeightCache(), streamBytes = STREAM_BYTES, kernels = {}, observe, onProgress, signal } = options;
  const context: NodeContext = { weights, cache, streamBytes, kernels };
  const states: RunState[] = [];
  const lent = lentBy(runs);
  for (const [i, run] of runs.entries())
    states.push(
      new RunState(prepared.graph, nodes, run, { before: states, lent: lent[i]!, observed: observe !== undefined }),
    );
  for (const { values } of states)
    for (const [{ name }, tensor] of values) await observe?.({ graph: graph.name, value: name, op: 'input', tensor });
  signal?.throwIfAborted();
  const progress = onProgress && workOf(nodes, weights, onProgress);
  const runAll = async () => {
    let yielded = performance.now();
    for (let next = firstRunnable(states, nodes); next !== undefined; next = firstRunnable(states, nodes)) {
      const { node, runs: concerned } = next;
      if (performance.now() - yielded > YIELD_MS) {
        await new Promise((resolve) => setTimeout(resolve, 0));
        yielded = performance.now();
        signal?.throwIfAborted();
      }
      const done = async (state: RunState, results: readonly RawTensor[]) => {
        const tensors = node.outputs.map((value, i) => state.keep(value, results[i]!, node));
        if (observe)
          for (const [i, value] of node.outputs.entries())
            await observe({ graph: graph.name, ...observed(prepared.origins.get(value)!), tensor: tensors[i]! });
      };
      const joined = concerned.length > 1 ? await runJoined(node, concerned, context) : undefined;
      for (const [i, state] of concerned.entries()) {
        const read = (value: Value) => state.read(value, context);
        await done(state, joined?.results[i] ?? (await runNode(node, read, context, state.bindings)));
        state.drop(node.inputs);
        state.at++;
      }
      if (joined) giveBack(joined.memory);
      progress?.(node);
    }
  };
  try {
    await runAll();
  } finally {
    letGo();
  }
  return Promise.all(states.map((state) => state.results(context)));
}

/** How many inputs of later runs the outputs of each are, by their names. */
function lentBy(runs: readonly GraphRun[]): readonly ReadonlyMap<string, number>[] {
  const lent = runs.map(() => new Map<string, number>());
  for (const { inputs } of runs)
    for (const input of Object.values(inputs)) {
      if (!isEarlier(input)) continue;
      // a run that is not there is told by who takes of it
      const of = lent[input.run];
      of?.set(input.output, (of.get(input.output) ?? 0) + 1);
    }
  return lent;
}

/**
 * The first node that some run has not computed and can, with all runs of which that is true: one that waits for what
 * an earlier run has yet to give catches up before the others go on.
 */
function firstRunnable(
  states: readonly RunState[],
  nodes: readonly Node[],
): { readonly node: Node; readonly runs: readonly RunState[] } | undefined {
  let at = nodes.length;
  for (const state of states) {
    while (state.at < nodes.length && !nodes[state.at]!.outputs.some((value) => state.uses.has(value))) state.at++;
    if (state.at < at && state.isReady(nodes[state.at]!)) ({ at } = state);
  }
  const node = nodes[at];
  return node && { node, runs: states.filter((state) => state.at === at && state.isReady(node)) };
}

/** Tells of the elements of weights that nodes have met, of all. */
function workOf(
  nodes: readonly Node[],
  weights: ReadonlyMap<Value, Constant>,
  onProgress: (done: number, total: number) => void,
): (node: Node) => void {
  const elementsOf = (node: Node) =>
    node.inputs.reduce((sum, input) => {
      const constant = weights.get(input);
      return constant?.kind === 'weight' ? sum + elementCount(constant.data.shape) : sum;
    }, 1);
  const total = nodes.reduce((sum, node) => sum + elementsOf(node), 0);
  let done = 0;
  const met = new Set<Node>();
  return (node) => {
    if (!met.has(node)) done += elementsOf(node);
    met.add(node);
    onProgress(done, total);
  };
}

interface NodeContext extends Weights {
  readonly streamBytes: number;
  readonly kernels: Kernels;
}

async function runNode(
  node: Node,
  read: (value: Value) => Promise<Tensor>,
  { weights, streamBytes, kernels }: NodeContext,
  bindings: Bindings,
): Promise<readonly RawTensor[]> {
  const op = ops[node.op] as unknown as Primitive;
  const attrs = node.attrs as Readonly<Record<string, unknown>>;
  if (op.kind !== 'primitive') throw new IrError(`${node.op} was not decomposed`);
  const kernel = kernels[node.op];
  if (kernel) {
    const operands = node.inputs.map(async (input): Promise<Operand> => {
      const constant = weights.get(input);
      return constant?.kind === 'weight' ? constant.data : read(input);
    });
    return kernel(await Promise.all(operands), attrs);
  }
  const streamed = op.streamedOperand === undefined ? undefined : weights.get(node.inputs[op.streamedOperand]!);
  if (streamed?.kind === 'weight' && streamed.data.byteLength > streamBytes && op.evaluateStreamed) {
    const others = node.inputs.filter((_, i) => i !== op.streamedOperand);
    return op.evaluateStreamed(await Promise.all(others.map(read)), streamed.data, attrs);
  }
  return op.evaluate(await Promise.all(node.inputs.map(read)), attrs, bindings);
}

/**
 * The rows of all runs by one product with a weight, which is read once; undefined for a node that is no such product.
 */
async function runJoined(
  node: Node,
  states: readonly RunState[],
  context: NodeContext,
): Promise<{ readonly results: readonly (readonly RawTensor[])[]; readonly memory: NumberArray } | undefined> {
  const [x, weight] = node.inputs;
  if (node.op !== 'linear' || !context.weights.has(weight!)) return undefined;
  const inputs = await Promise.all(states.map((state) => state.read(x!, context)));
  const { dtype } = inputs[0]!;
  const inner = inputs[0]!.shape.at(-1)!;
  const length = inputs.reduce((sum, { data: own }) => sum + own.length, 0);
  const data = dtype === 'f32' ? takeF32(length) : dtypes[dtype].allocate(length);
  let at = 0;
  for (const input of inputs) {
    data.set(input.data, at);
    at += input.data.length;
  }
  const all: Tensor = { dtype, shape: [data.length / (inner || 1), inner], data };
  const first = states[0]!;
  const read = async (value: Value) => (value === x ? all : first.read(value, context));
  const [product] = await runNode(node, read, context, first.bindings);
  giveBack(data);
  const outer = product!.shape.at(-1)!;
  let row = 0;
  const results = inputs.map(({ shape }) => {
    const rows = elementCount(shape.slice(0, -1));
    const own = product!.data.subarray(row * outer, (row + rows) * outer);
    row += rows;
    return [{ shape: [...shape.slice(0, -1), outer], data: own }];
  });
  return { results, memory: product!.data };
}

function observed({ node, value, step }: Origin): Pick<Parameters<Observer>[0], 'value' | 'op' | 'step'> {
  return { value: (value ?? node.outputs[0]!).name, op: node.op, ...(step && { step }) };
}

/** A runner over a program, beside the real runtimes: the reference that bundles are compared with. */
export function evaluatorRunner(
  program: Program,
  description = 'IR evaluator, float64',
  { observe, kernels }: Pick<EvaluateOptions, 'observe' | 'kernels'> = {},
) {
  const options = { cache: new WeightCache(), ...(observe && { observe }), ...(kernels && { kernels }) };
  const runTogether = (
    graph: string,
    runs: readonly GraphRun[],
    heard: Pick<EvaluateOptions, 'onProgress' | 'signal'> = {},
  ) => evaluateTogether(graphNamed(program, graph), runs, { ...options, ...heard });
  return {
    description,
    inputDtypes: async (graph: string) =>
      Object.fromEntries(graphNamed(program, graph).inputs.map(({ name, type }) => [name, type.dtype])),
    run: async (
      graph: string,
      inputs: Readonly<Record<string, Tensor>>,
      { stages = [] }: { readonly stages?: readonly string[] } = {},
    ) => (await runTogether(graph, [{ inputs, stages }]))[0]!,
    runTogether,
    dispose: async () => {},
  };
}
