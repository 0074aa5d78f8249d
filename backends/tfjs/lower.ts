import type { Graph, Node } from '../../ir/graph.ts';
import type { TensorData } from '../../ir/tensor.ts';
import type { OpName } from '../../ir/ops/index.ts';
import { decompose, eliminateCommonSubexpressions, eliminateDeadCode, type Pass } from '../../ir/passes/index.ts';
import { BackendError } from '../error.ts';
import { nativeComposites, type Rule } from '../lowering.ts';
import type { TfGraph } from './graph.ts';
import { INT32, typed } from './lower/attrs.ts';
import { LoweringContext } from './lower/context.ts';
import { lowering } from './lower/index.ts';
import type { Profile } from './target.ts';

/** Composites that have a rule. */
export const native = nativeComposites(lowering);

/**
 * Leave nothing but nodes that have a rule, each value computed once. They come before a graph is cut into parts, which
 * are lowered as they are.
 */
export const beforeLowering: readonly Pass[] = [decompose(native), eliminateCommonSubexpressions, eliminateDeadCode];

export interface LowerOptions {
  readonly profile: Profile;
  /**
   * Outputs whose largest element along the last axis is wanted too: int32 `<name>.best` and f32 `<name>.max`, without
   * that axis.
   */
  readonly largestOf?: readonly string[];
  /** Matrices stay [N, K], as rows that a host looks up. */
  readonly rowsFirst?: boolean;
}

export interface Lowered {
  readonly graph: TfGraph;
  /** Names of weights by the data that they were made of. */
  readonly stored: ReadonlyMap<TensorData, string>;
}

/**
 * One graph, after `beforeLowering`, as nodes and weights of a graph model; no weight is read.
 * @throws BackendError naming what tfjs cannot do
 */
export function lowerGraph(graph: Graph, { profile, largestOf = [], rowsFirst = false }: LowerOptions): Lowered {
  const context = new LoweringContext(graph, { packed: profile === 'packed', rowsFirst });
  for (const node of graph.nodes) lowerNode(context, node);
  return { graph: withLargest(context, context.finish(), largestOf), stored: context.stored };
}

function lowerNode(context: LoweringContext, node: Node): void {
  // the union of rules takes the intersection of nodes
  const rule = lowering[node.op] as Rule<LoweringContext, OpName> | undefined;
  if (!rule) throw new BackendError('unsupported', `${node.op} was not decomposed`, { tensor: node.outputs[0]!.name });
  rule(context, node);
}

/** A host that wants the best token reads a few bytes instead of all logits. */
function withLargest(context: LoweringContext, graph: TfGraph, names: readonly string[]): TfGraph {
  if (names.length === 0) return graph;
  const ports = names.flatMap((name) => {
    const port = graph.outputs.find((output) => output.name === name)!;
    const x = { name: port.tensor, dtype: port.dtype, rank: port.shape.length };
    const shape = port.shape.slice(0, -1);
    const best = context.step(
      'ArgMax',
      [x, context.int(x.rank - 1)],
      `${name}.best`,
      { dtype: 'int32', rank: shape.length },
      { ...typed(x), Tidx: INT32, output_type: INT32 },
    );
    const max = context.step(
      'Max',
      [x, context.ints(x.rank - 1)],
      `${name}.max`,
      { dtype: 'float32', rank: shape.length },
      { ...typed(x), Tidx: INT32, keep_dims: { bool: false } },
    );
    return [
      { name: `${name}.best`, tensor: best.name, dtype: 'int32' as const, shape },
      { name: `${name}.max`, tensor: max.name, dtype: 'float32' as const, shape },
    ];
  });
  return { ...graph, outputs: [...graph.outputs, ...ports] };
}
