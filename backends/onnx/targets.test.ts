import { describe, expect, it } from 'vitest';
import { GraphBuilder } from '../../ir/builder.ts';
import { addDims, sym } from '../../ir/dim.ts';
import type { Graph } from '../../ir/graph.ts';
import { ops } from '../../ir/ops/index.ts';
import { runPasses } from '../../ir/passes/index.ts';
import { targets } from './targets.ts';
import type { Target } from './target.ts';

const HEADS = 8;

/** Attention of a decoder, with a cache. */
function attend(softcap = 0): Graph {
  const [batch, seq, past] = [sym('batch_size'), sym('seq'), sym('past')];
  const b = new GraphBuilder('attend');
  const q = b.input('q', { dtype: 'f32', shape: [batch, seq, HEADS, 4] });
  const k = b.input('k', { dtype: 'f32', shape: [batch, 1, addDims(past, seq), 4] });
  b.output('y', b.op(ops.attention, [q, k, k], { softcap }));
  return b.build();
}

/** How many attentions, of how many heads, a target makes of one in a prefill of one picture and 256 tokens. */
function tiles(target: Target, imageTokens: number): readonly unknown[] {
  const { nodes } = runPasses(attend(), targets[target].passes({ imageTokens }));
  return nodes.flatMap((node) => (node.op === 'attention' ? [node.inputs[0]!.type.shape[2]] : []));
}

const PROMPT = 256;
/** Image tokens whose prefill has scores of just so many bytes. */
const filling = (bytes: number) => Math.sqrt(bytes / 4 / HEADS) - PROMPT;

describe('scores of a prefill of one row', () => {
  it.each([
    ['portable', 128],
    ['webgpu', 128],
  ] as const)('on %s take at most %d MiB at a time', (target, most) => {
    const largest = filling(most * 2 ** 20);
    expect(largest).toBe(1792);
    expect(tiles(target, largest)).toEqual([HEADS]);
    expect(tiles(target, largest + 1)).toEqual([HEADS / 2, HEADS / 2]);
  });
});
