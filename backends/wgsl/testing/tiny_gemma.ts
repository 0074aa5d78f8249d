import { GraphBuilder } from '../../../ir/builder.ts';
import { addDims, sym } from '../../../ir/dim.ts';
import type { Graph, Program, Value } from '../../../ir/graph.ts';
import { ops } from '../../../ir/ops/index.ts';
import { programOf, randomWeight } from '../../testing/tiny_program.ts';

/** What the two generations differ in. */
export interface TinyGemma {
  readonly layers: number;
  readonly kvHeads: number;
  readonly postNorms: boolean;
  readonly softcap: number;
}

export const GEMMA_1: TinyGemma = { layers: 2, kvHeads: 1, postNorms: false, softcap: 0 };
export const GEMMA_2: TinyGemma = { layers: 2, kvHeads: 2, postNorms: true, softcap: 20 };

/** Odd enough to find a wrong stride: no two are equal, and the vocabulary is no multiple of anything. */
const [WIDTH, HEADS, HEAD_DIM, INNER, VOCAB, POSITIONS] = [72, 4, 32, 160, 250, 64];

/** A decoder and its embedding, tied, built as the converter builds Gemma's. */
export function tinyGemma(config: TinyGemma): Program {
  return programOf(embedding(), decoder(config));
}

/** The table that the head shares. */
const table = randomWeight('lm.embed', [VOCAB, WIDTH]);

function embedding(): Graph {
  const b = new GraphBuilder('embed_tokens');
  const ids = b.input('input_ids', { dtype: 'i64', shape: [sym('batch_size'), sym('seq')] });
  const rows = b.op(ops.gather, [b.weight('lm.embed', table), ids], {});
  b.output('inputs_embeds', b.op(ops.mul, [rows, b.literal('f32', [], [Math.sqrt(WIDTH)])], {}));
  return b.build();
}

function decoder({ layers, kvHeads, postNorms, softcap }: TinyGemma): Graph {
  const b = new GraphBuilder('decoder');
  const [batch, seq, past] = [sym('batch_size'), sym('seq'), sym('past')];
  let x = b.input('inputs_embeds', { dtype: 'f32', shape: [batch, seq, WIDTH] });
  const mask = b.input('attention_mask', { dtype: 'i64', shape: [batch, addDims(past, seq)] });
  const positions = b.input('position_ids', { dtype: 'i64', shape: [batch, seq] });
  const keep = b.input('num_logits_to_keep', { dtype: 'i64', shape: [] });
  const caches = Array.from({ length: layers }, (_, i) =>
    ['key', 'value'].map((kind) =>
      b.input(`past_key_values.${i}.${kind}`, { dtype: 'f32', shape: [batch, kvHeads, past, HEAD_DIM] }),
    ),
  );
  const weight = (name: string, ...shape: number[]) => b.weight(name, randomWeight(name, shape, 0.3));
  const linear = (v: Value, name: string, out: number, columns: number) =>
    b.op(ops.linear, [v, weight(name, out, columns)], {});
  const norm = (v: Value, name: string) => b.op(ops.rms_norm, [v, weight(name, WIDTH)], { epsilon: 1e-6 });
  const tables = [weight('rope.cos', POSITIONS, HEAD_DIM / 2), weight('rope.sin', POSITIONS, HEAD_DIM / 2)];
  const rotate = (v: Value) => b.op(ops.rope, [v, positions, ...tables], {});
  const bias = prefixMask(b, mask);
  b.stage('lm.0', x);
  const presents = caches.map(([pastKey, pastValue], i) =>
    b.within(`lm.${i}`, () => {
      const normed = norm(x, `lm.${i}.norm_attn_in`);
      const heads = (name: string, count: number) =>
        b.op(ops.reshape, [linear(normed, `lm.${i}.${name}`, count * HEAD_DIM, WIDTH)], {
          shape: [batch, seq, count, HEAD_DIM],
        });
      const append = (cache: Value, v: Value) =>
        b.op(ops.concat, [cache, b.op(ops.transpose, [v], { perm: [0, 2, 1, 3] })], { axis: 2 });
      const query = b.op(ops.mul, [rotate(heads('q', HEADS)), b.literal('f32', [], [HEAD_DIM ** -0.5])], {});
      const key = append(pastKey!, rotate(heads('k', kvHeads)));
      const value = append(pastValue!, heads('v', kvHeads));
      const mixed = b.op(ops.attention, [query, key, value, bias], { softcap });
      const behind = (v: Value, name: string) => (postNorms ? norm(v, `lm.${i}.${name}`) : v);
      const attended = linear(
        b.op(ops.reshape, [mixed], { shape: [batch, seq, HEADS * HEAD_DIM] }),
        `lm.${i}.o`,
        WIDTH,
        HEADS * HEAD_DIM,
      );
      x = b.op(ops.add, [x, behind(attended, 'norm_attn_out')], {});
      const inner = norm(x, `lm.${i}.norm_mlp_in`);
      const gate = b.op(ops.gelu_tanh, [linear(inner, `lm.${i}.gate`, INNER, WIDTH)], {});
      const gated = b.op(ops.mul, [gate, linear(inner, `lm.${i}.up`, INNER, WIDTH)], {});
      x = b.op(ops.add, [x, behind(linear(gated, `lm.${i}.down`, WIDTH, INNER), 'norm_mlp_out')], {});
      if (i < layers - 1) b.stage(`lm.${i + 1}`, x);
      return { key, value };
    }),
  );
  const normed = norm(x, 'lm.norm');
  b.stage(`lm.${layers}`, normed);
  const kept = b.op(ops.take_last, [normed, keep], { axis: 1, kept: sym('kept') });
  b.output('logits', b.op(ops.linear, [kept, b.weight('lm.head', table)], {}));
  presents.forEach(({ key, value }, i) => {
    b.output(`present.${i}.key`, key);
    b.output(`present.${i}.value`, value);
  });
  return b.build();
}

/**
 * 0 or -2.38e38 [B, 1, S, past + S]: all of a prompt sees all of it, new tokens see what is before them, nothing sees
 * padding.
 */
function prefixMask(b: GraphBuilder, mask: Value): Value {
  const [batch, seq, past] = [sym('batch_size'), sym('seq'), sym('past')];
  const total = addDims(past, seq);
  const zero = b.literal('i64', [], [0]);
  const known = b.op(ops.dim_value, [], { dim: past });
  const columns = b.op(ops.reshape, [b.op(ops.iota, [], { length: total })], { shape: [1, 1, 1, total] });
  const rows = b.op(ops.reshape, [b.op(ops.add, [b.op(ops.iota, [], { length: seq }), known], {})], {
    shape: [1, 1, seq, 1],
  });
  const visible = b.op(ops.or, [b.op(ops.less_equal, [columns, rows], {}), b.op(ops.equal, [known, zero], {})], {});
  const real = b.op(
    ops.not,
    [b.op(ops.equal, [b.op(ops.reshape, [mask], { shape: [batch, 1, 1, total] }), zero], {})],
    {},
  );
  return b.op(
    ops.where,
    [b.op(ops.and, [visible, real], {}), b.literal('f32', [], [0]), b.literal('f32', [], [-2.3819763e38])],
    {},
  );
}
