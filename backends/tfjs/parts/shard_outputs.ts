import type { Graph, Node, Value } from '../../../ir/graph.ts';
import { mapsFloats, nodeHasTrait } from '../../../ir/ops/traits.ts';
import { eliminateDeadCode } from '../../../ir/passes/index.ts';
import { emitNode, rewriteGraph } from '../../../ir/rewrite.ts';

/** An output in pieces along its last axis. */
export interface Join {
  readonly output: string;
  readonly axis: number;
  readonly pieces: readonly string[];
  /** Entries of each piece along the axis. */
  readonly rows: readonly number[];
}

export interface ShardedOutputs {
  readonly graph: Graph;
  readonly joins: readonly Join[];
  /**
   * For each piece, in order, the nodes that make it from what all share: products with a matrix and what is done to
   * each element of them.
   */
  readonly heads: readonly ReadonlySet<Node>[];
}

/**
 * Outputs that are products with a large matrix, as the logits of a language model are, become one output for each
 * shard of rows that the matrix was cut into: `logits.0`, `logits.1`, … What is done to each element (a softcap) is
 * done to each shard.
 */
export function shardOutputs(graph: Graph): ShardedOutputs {
  const spread = eliminateDeadCode.run(spreadOverConcat(graph));
  const makers = new Map<Value, Node>(
    spread.nodes.flatMap((node) => node.outputs.map((value) => [value, node] as const)),
  );
  const joins: Join[] = [];
  const heads: ReadonlySet<Node>[] = [];
  const outputs = spread.outputs.flatMap((port) => {
    const axis = port.value.type.shape.length - 1;
    const maker = makers.get(port.value);
    const shards = maker?.op === 'concat' && maker.attrs.axis === axis ? maker.inputs : [port.value];
    const chains = shards.map((value) => headOf(value, makers));
    if (!chains.every((chain) => chain !== undefined)) return [port];
    const pieces = shards.map((_, i) => `${port.name}.${i}`);
    joins.push({ output: port.name, axis, pieces, rows: shards.map((value) => value.type.shape.at(-1) as number) });
    heads.push(...chains);
    return shards.map((value, i) => ({ name: pieces[i]!, value }));
  });
  if (joins.length === 0) return { graph, joins, heads };
  const names = new Set(
    spread.outputs.filter((port) => joins.some(({ output }) => output === port.name)).map(({ value }) => value),
  );
  return {
    graph: eliminateDeadCode.run({
      ...spread,
      outputs,
      stages: spread.stages.filter(({ value }) => !names.has(value)),
    }),
    joins,
    heads,
  };
}

/** f(concat(a, b)) as concat(f(a), f(b)), where f treats every element alike, given scalars beside it. */
function spreadOverConcat(graph: Graph): Graph {
  return rewriteGraph(graph, (node, { inputs, builder, definitionOf }) => {
    if (!mapsFloats(node)) return undefined;
    const joined = inputs.findIndex((value) => value.type.shape.length > 0);
    if (inputs.some((value, i) => i !== joined && value.type.shape.length > 0)) return undefined;
    const definition = joined < 0 ? undefined : definitionOf(inputs[joined]!);
    if (
      !definition ||
      !('op' in definition) ||
      definition.op !== 'concat' ||
      definition.attrs.axis !== definition.outputs[0]!.type.shape.length - 1
    )
      return undefined;
    const parts = definition.inputs.map((part) => emitNode(builder, node, inputs.with(joined, part))[0]!);
    return emitNode(builder, definition, parts);
  });
}

/** The nodes from a product with a matrix on; undefined for what is no such product. */
function headOf(value: Value, makers: ReadonlyMap<Value, Node>): ReadonlySet<Node> | undefined {
  const nodes = new Set<Node>();
  for (let at = value; ;) {
    const node = makers.get(at);
    if (!node) return undefined;
    nodes.add(node);
    if (nodeHasTrait(node, 'linear')) return nodes;
    const [next, ...others] = node.inputs.filter(({ type }) => type.shape.length > 0);
    if (!mapsFloats(node) || !next || others.length > 0) return undefined;
    at = next;
  }
}
