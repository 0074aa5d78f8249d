import { symbolsOf } from '../../../ir/dim.ts';
import type { Graph, Node, Program } from '../../../ir/graph.ts';
import type { CompositeName } from '../../../ir/ops/index.ts';
import {
  bindDims,
  decompose,
  eliminateCommonSubexpressions,
  eliminateDeadCode,
  fuseAppendCache,
  runPasses,
  type Pass,
  type PassListener,
  type PassRun,
} from '../../../ir/passes/index.ts';
import { growingAxis } from '../kernels/wgsl_text.ts';
import { productsOfComputed } from './computed_weights.ts';

/** A graph for some sizes. */
export interface PhaseGraph {
  /** `decoder`, `decoder.step` */
  readonly name: string;
  readonly graph: Graph;
  readonly fixed: Readonly<Record<string, number>>;
}

/** One new token a row. */
const STEP = { seq: 1, kept: 1 };

/**
 * Every graph for any sizes, and those that take a sequence for one new token as well.
 */
export function phaseGraphs(
  { graphs }: Program,
  native: ReadonlySet<CompositeName>,
  onPass?: PassListener,
): readonly PhaseGraph[] {
  const steps = graphs.filter((graph) => symbolsIn(graph).has('seq'));
  return [
    ...graphs.map((graph) => ({ name: graph.name, graph: prepared(graph, native, [], onPass), fixed: {} })),
    ...steps.map((graph) => ({
      name: `${graph.name}.step`,
      graph: prepared(graph, native, [bindDims(STEP)], onPass),
      fixed: Object.fromEntries(Object.entries(STEP).filter(([name]) => symbolsIn(graph).has(name))),
    })),
  ];
}

/** Whether a phase computes one new token a row: its products have few rows. */
export function isStep({ fixed }: PhaseGraph): boolean {
  return 'seq' in fixed;
}

function prepared(
  graph: Graph,
  native: ReadonlySet<CompositeName>,
  first: readonly Pass[],
  onPass?: PassListener,
): Graph {
  const passes = (composites: ReadonlySet<CompositeName>) => [
    ...first,
    fuseAppendCache,
    decompose(composites, hasKnownHeads),
    productsOfComputed,
    eliminateCommonSubexpressions,
    eliminateDeadCode,
  ];
  const runs: PassRun[] = [];
  const fused = runPasses(graph, passes(native), (run) => runs.push(run));
  if (!growsInPlace(fused))
    return runPasses(graph, passes(new Set([...native].filter((name) => name !== 'append_cache'))), onPass);
  for (const run of runs) onPass?.(run);
  return fused;
}

/** Kernels of heads are written for their number and size. */
function hasKnownHeads({ op, inputs: [x] }: Node): boolean {
  return op !== 'rope' || x!.type.shape.slice(2).every((dim) => typeof dim === 'number');
}

/** Whether each cache lies at the capacity, grows once, and comes out as a port: only then it is one buffer. */
function growsInPlace({ nodes, outputs }: Graph): boolean {
  const appends = nodes.filter((node) => node.op === 'append_cache');
  const ports = new Set(outputs.map((port) => port.value));
  const caches = new Set(appends.map((node) => node.inputs[0]!));
  return (
    caches.size === appends.length &&
    appends.every(
      ({ inputs, outputs: [grown] }) =>
        ports.has(grown!) && growingAxis(grown!.type.shape) === 2 && growingAxis(inputs[0]!.type.shape) === 2,
    )
  );
}

/** Names of the sizes in the types of a graph. */
export function symbolsIn({ inputs, nodes }: Graph): ReadonlySet<string> {
  const values = [...inputs, ...nodes.flatMap((node) => node.outputs)];
  return new Set(values.flatMap(({ type }) => type.shape.flatMap(symbolsOf)));
}
