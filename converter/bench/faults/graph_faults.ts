import type { Node, Program, Value } from '../../../ir/graph.ts';
import { ops } from '../../../ir/ops/index.ts';
import { rewriteGraph } from '../../../ir/rewrite.ts';
import { isOp, newKeysFirst, nth, projectorScaledBy, suffixShifted, withoutNode, type Rule } from './rules.ts';

/**
 * A fault in what a graph computes, by which no weight moves and no type changes: planted in the program before it is
 * emitted, so that the reference is built without it.
 */
export interface GraphFault {
  readonly name: string;
  /** Where it must first show: phase and stage. Stage `lm.1` is what comes out of layer 0. */
  readonly shows: `${'vision' | 'prefill' | 'suffix'} ${string}`;
  readonly graph: string;
  /** Called for each build, since a rule may count what it has met. */
  readonly rule: () => Rule;
}

/** @throws Error when nothing matched: the fault would test nothing */
export function planted(program: Program, { name, graph: graphName, rule }: GraphFault): Program {
  const graphs = program.graphs.map((graph) => {
    if (graph.name !== graphName) return graph;
    const plant = rule();
    // names of their own: tables that graphs number keep theirs
    return rewriteGraph(graph, (node, context) => context.builder.within('fault', () => plant(node, context)));
  });
  if (graphs.every((graph, i) => graph === program.graphs[i])) throw new Error(`the fault "${name}" changed nothing`);
  return { ...program, graphs };
}

/** Nobody sees the key in that slot of the cache. */
const hiddenSlot =
  (slot: number): Rule =>
  (node, { builder: b, inputs }) => {
    const total = node.outputs[0]!.type.shape.at(-1)!;
    const key = b.op(ops.reshape, [b.op(ops.iota, [], { length: total })], { shape: [1, 1, 1, total] });
    const is = b.op(ops.equal, [key, b.literal('i64', [], [slot])], {});
    return [b.op(ops.and, [b.op(ops.and, [...inputs], {}), b.op(ops.not, [is], {})], {})];
  };

/** The product of rotated queries and their scale. */
const scalesQueries = (node: Node) => node.op === 'mul' && node.inputs[0]!.name.includes('rope');

/** Of PaliGemma 3B at 224 pixels, in two layers or more. */
export const GRAPH_FAULTS: readonly GraphFault[] = [
  {
    name: 'mask off by one behind the picture: its end hides the first token of text',
    shows: 'prefill lm.1',
    graph: 'decoder',
    rule: nth(0, isOp('and'), hiddenSlot(256)),
  },
  {
    name: 'positions of what is read behind the prompt are one short',
    shows: 'suffix lm.1',
    graph: 'decoder',
    rule: suffixShifted(-1),
  },
  {
    name: 'keys of the second layer are not rotated',
    shows: 'prefill lm.2',
    graph: 'decoder',
    rule: nth(3, isOp('rope'), withoutNode),
  },
  {
    name: 'queries of the second layer are not scaled',
    shows: 'prefill lm.2',
    graph: 'decoder',
    rule: nth(1, scalesQueries, withoutNode),
  },
  {
    name: 'new keys of the second layer go before the cache',
    shows: 'suffix lm.2',
    graph: 'decoder',
    rule: nth(2, isOp('concat'), newKeysFirst),
  },
  {
    name: 'queries and keys swapped in the second layer of the image tower',
    shows: 'vision vit.2',
    graph: 'vision_encoder',
    rule: nth(1, isOp('attention'), (_, { builder: b, inputs: [query, key, ...rest] }) => {
      // queries are [B, S, N, H], keys [B, N, S, H]
      const turned = (value: Value) => b.op(ops.transpose, [value], { perm: [0, 2, 1, 3] });
      return [b.op(ops.attention, [turned(key!), turned(query!), ...rest], { softcap: 0 })];
    }),
  },
  {
    name: 'image features divided by √D',
    shows: 'vision image_features',
    graph: 'vision_encoder',
    rule: projectorScaledBy((width) => width ** -0.5),
  },
  {
    name: 'text embeddings without √D',
    shows: 'prefill lm.0',
    graph: 'embed_tokens',
    rule: () => (node, context) => (node.op === 'mul' ? withoutNode(node, context) : undefined),
  },
];

/** Of PaliGemma 2 3B. */
export const PALIGEMMA_2_GRAPH_FAULTS: readonly GraphFault[] = [
  {
    name: 'softcap left out in one layer',
    shows: 'prefill lm.2',
    graph: 'decoder',
    rule: nth(1, isOp('attention'), (_, { builder: b, inputs }) => [b.op(ops.attention, [...inputs], { softcap: 0 })]),
  },
];
