import type { GraphBuilder } from '../builder.ts';
import type { Dim } from '../dim.ts';
import type { NodeOf, Value } from '../graph.ts';
import { ops } from '../ops/index.ts';
import { rewriteGraph } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/** Scores are f32 whatever the operands are. */
const SCORE_BYTES = 4;

export interface TileAttentionOptions {
  /** Scores [B, heads, S, T] that one tile may hold at once. */
  readonly maxScoreBytes: number;
  /** A symbolic size in the largest call that must fit. */
  readonly sizeOf: (dim: Dim) => number;
}

/**
 * Attention over many positions becomes several over fewer heads each, joined along the heads: one tile's scores are
 * done with before the next one's are made. Heads and not queries are divided, for their number is known, so that a
 * step has no empty tiles. Tiles hold whole groups of the heads that share a KV head, or parts of one group.
 */
export function tileAttention({ maxScoreBytes, sizeOf }: TileAttentionOptions): Pass {
  return {
    name: 'tile_attention',
    doc: `Attention whose scores exceed ${maxScoreBytes} bytes in the largest call is computed for some heads at a time.`,
    run: (graph) =>
      rewriteGraph(graph, (node, { inputs, builder }) => {
        if (node.op !== 'attention') return undefined;
        const [q, k] = inputs as readonly [Value, Value];
        const [batch, seq, heads] = q.type.shape as readonly [Dim, Dim, number];
        const [, kvHeads, total] = k.type.shape as readonly [Dim, number, Dim];
        const bytesOfHead = SCORE_BYTES * sizeOf(batch) * sizeOf(seq) * sizeOf(total);
        const tile = headsOfTile(heads, kvHeads, maxScoreBytes / bytesOfHead);
        return tile === heads ? undefined : [tiled(builder, node, inputs, tile)];
      }),
  };
}

/** The most heads that fit and divide evenly, at least one. */
function headsOfTile(heads: number, kvHeads: number, fitting: number): number {
  const group = heads / kvHeads;
  const even = (count: number) => (count <= group ? group % count === 0 : count % group === 0 && heads % count === 0);
  return Array.from({ length: heads }, (_, i) => heads - i).find((count) => even(count) && count <= fitting) ?? 1;
}

function tiled(
  b: GraphBuilder,
  { attrs, outputs }: NodeOf<'attention'>,
  [q, k, v, bias]: readonly Value[],
  tile: number,
): Value {
  const [, , heads] = q!.type.shape as readonly [Dim, Dim, number];
  const kvHeads = k!.type.shape[1] as number;
  const group = heads / kvHeads;
  const own = Math.max(1, tile / group);
  const slices = new Map<number, readonly Value[]>();
  const keysOf = (first: number): readonly Value[] => {
    const known = slices.get(first) ?? [k!, v!].map((value) => slice(b, value, 1, first, own));
    slices.set(first, known);
    return known;
  };
  const parts = Array.from({ length: heads / tile }, (_, i) => {
    const first = i * tile;
    return b.op(
      ops.attention,
      [slice(b, q!, 2, first, tile), ...keysOf(Math.floor(first / group)), ...(bias ? [bias] : [])],
      attrs,
    );
  });
  return b.node(ops.concat, parts, { axis: 2 }, [outputs[0]!.name])[0]!;
}

function slice(b: GraphBuilder, x: Value, axis: number, begin: number, count: number): Value {
  return x.type.shape[axis] === count ? x : b.op(ops.slice, [x], { axis, begin, end: begin + count });
}
