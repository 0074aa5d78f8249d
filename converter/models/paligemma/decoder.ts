import { GraphBuilder } from '../../../ir/builder.ts';
import { addDims, sym } from '../../../ir/dim.ts';
import type { Graph, Value } from '../../../ir/graph.ts';
import { ops } from '../../../ir/ops/index.ts';
import { mapData } from '../../../ir/views/map.ts';
import type { Behaviour } from './behaviour.ts';
import type { PaliGemmaConfig, TextConfig } from './config.ts';
import { prefixMask } from './prefix_mask.ts';
import { ropeTables } from './rope_tables.ts';
import { maskImage, tokenRows } from './token_rows.ts';
import { weightsOf, type CanonicalWeights } from './weights.ts';

const batch = sym('batch_size');
const seq = sym('seq');
const past = sym('past');
const total = addDims(past, seq);

/** What every layer shares. */
interface Context {
  readonly b: GraphBuilder;
  readonly w: (name: string) => Value;
  readonly config: TextConfig;
  /** What a layer's queries may see, by its number. */
  readonly biasOf: (layer: number) => Value;
  readonly rotate: (x: Value) => Value;
  /** Whether a norm's weight is 1 + w already. */
  readonly hasWholeScale: (name: string) => boolean;
}

/**
 * Gemma 1 or 2 (spec A.2), prefill and step in one graph: inputs_embeds f32[batch_size, seq, D], attention_mask
 * i64[batch_size, past + seq], position_ids i64[batch_size, seq], num_logits_to_keep i64[] (0 for all) and a KV cache
 * [batch_size, kv heads, past, H] a layer, keys after rotation; logits f32[batch_size, kept, V] and the longer cache;
 * with ColPali's head also embeddings f32[batch_size, seq, E]. ColPali itself has no logits: those of its decoder are
 * what the head of its backbone, the tied embedding, makes of hidden states that were trained to be embedded. They mean
 * little; clients that expect the output find it, and with num_logits_to_keep 1 it costs next to nothing.
 */
export function decoder(whole: PaliGemmaConfig, weights: CanonicalWeights, behaviour: Behaviour): Graph {
  const { text: config, retrievalWidth } = whole;
  const b = new GraphBuilder('decoder');
  const head = weights.get('lm.head') ?? weights.get('lm.embed')!;
  const norms = behaviour.roundsLikeStorage
    ? [...weights].flatMap(([name, data]) =>
        isNorm(name) && data.dtype !== 'f32' ? [[name, mapData(data, (x) => 1 + x)] as const] : [],
      )
    : [];
  const w = weightsOf(b, new Map([...weights, ...norms, ['lm.head', tokenRows(head, whole)]]));
  const countFromOne = new Set(norms.map(([name]) => name));
  let x = b.input('inputs_embeds', { dtype: 'f32', shape: [batch, seq, config.width] });
  const attentionMask = b.input('attention_mask', { dtype: 'i64', shape: [batch, total] });
  const positions = b.input('position_ids', { dtype: 'i64', shape: [batch, seq] });
  const logitsToKeep = b.input('num_logits_to_keep', { dtype: 'i64', shape: [] });
  const cacheShape = [batch, config.kvHeads, past, config.headDim];
  const caches = Array.from({ length: config.layers }, (_, i) =>
    (['key', 'value'] as const).map((kind) =>
      b.input(`past_key_values.${i}.${kind}`, { dtype: 'f32', shape: cacheShape }),
    ),
  );
  const [cos, sin] = ropeTables(config).map((table, i) => b.weight(['rope.cos', 'rope.sin'][i]!, table)) as [
    Value,
    Value,
  ];
  const dims = { batch, seq, past };
  const slides =
    behaviour.slidingWindow && config.slidingWindow > 0 && config.slidingWindow < config.maxPositions
      ? new Set(config.slidingLayers)
      : new Set<number>();
  const full = slides.size < config.layers ? prefixMask(b, attentionMask, dims) : undefined;
  const sliding = slides.size > 0 ? prefixMask(b, attentionMask, { ...dims, window: config.slidingWindow }) : undefined;
  const context: Context = {
    b,
    w,
    config,
    biasOf: (layer) => (slides.has(layer) ? sliding! : full!),
    hasWholeScale: (name) => countFromOne.has(name),
    rotate: (value) => b.op(ops.rope, [value, positions, cos, sin], {}),
  };
  b.stage('lm.0', x);
  const presents = caches.map(([pastKey, pastValue], i) =>
    b.within(`lm.${i}`, () => {
      const layer = decoderLayer(context, i, x, pastKey!, pastValue!);
      x = layer.x;
      if (i + 1 < config.layers) b.stage(`lm.${i + 1}`, x);
      return [layer.key, layer.value] as const;
    }),
  );
  const normed = gemmaNorm(context, x, 'lm.norm');
  b.stage(`lm.${config.layers}`, normed);
  const kept = b.op(ops.take_last, [normed, logitsToKeep], { axis: 1, kept: sym('kept') });
  const logits = b.op(ops.linear, [kept, w('lm.head')], {});
  const capped = behaviour.finalSoftcap ? softcap(b, logits, config.finalSoftcap) : logits;
  b.output('logits', maskImage(b, capped, whole));
  if (retrievalWidth > 0) b.output('embeddings', retrievalEmbeddings(context, normed, attentionMask, retrievalWidth));
  presents.forEach(([key, value], i) => {
    b.output(`present.${i}.key`, key);
    b.output(`present.${i}.value`, value);
  });
  return b.build();
}

/** x += [norm] attention(norm x); x += [norm] down(gelu(gate) · up)(norm x): the norms in brackets are Gemma 2's. */
function decoderLayer(
  context: Context,
  layer: number,
  x: Value,
  pastKey: Value,
  pastValue: Value,
): { x: Value; key: Value; value: Value } {
  const { b, w, config, biasOf, rotate } = context;
  const name = `lm.${layer}`;
  const postNorm = (value: Value, part: string) =>
    config.postNorms ? gemmaNorm(context, value, `${name}.${part}`) : value;
  const { heads, kvHeads, headDim } = config;
  const normed = gemmaNorm(context, x, `${name}.norm_attn_in`);
  const perHead = (part: string, count: number) =>
    b.op(ops.reshape, [b.op(ops.linear, [normed, w(`${name}.${part}`)], {})], { shape: [batch, seq, count, headDim] });
  const extend = (cache: Value, value: Value) =>
    b.op(ops.concat, [cache, b.op(ops.transpose, [value], { perm: [0, 2, 1, 3] })], { axis: 2 });
  const query = b.op(ops.mul, [rotate(perHead('q', heads)), b.literal('f32', [], [config.queryScale])], {});
  const key = extend(pastKey, rotate(perHead('k', kvHeads)));
  const value = extend(pastValue, perHead('v', kvHeads));
  const mixed = b.op(ops.attention, [query, key, value, biasOf(layer)], { softcap: config.attentionSoftcap });
  const joined = b.op(ops.reshape, [mixed], { shape: [batch, seq, heads * headDim] });
  const attended = b.op(ops.add, [x, postNorm(b.op(ops.linear, [joined, w(`${name}.o`)], {}), 'norm_attn_out')], {});
  const inner = gemmaNorm(context, attended, `${name}.norm_mlp_in`);
  const gate = b.op(ops.gelu_tanh, [b.op(ops.linear, [inner, w(`${name}.gate`)], {})], {});
  const gated = b.op(ops.mul, [gate, b.op(ops.linear, [inner, w(`${name}.up`)], {})], {});
  const added = postNorm(b.op(ops.linear, [gated, w(`${name}.down`)], {}), 'norm_mlp_out');
  return { x: b.op(ops.add, [attended, added], {}), key, value };
}

/** RMSNorm whose stored scale is an offset from 1. */
function gemmaNorm({ b, w, config, hasWholeScale }: Context, x: Value, name: string): Value {
  const scale = hasWholeScale(name) ? w(name) : b.op(ops.add, [w(name), b.literal('f32', [], [1])], {});
  return b.op(ops.rms_norm, [x, scale], { epsilon: config.epsilon });
}

function isNorm(name: string): boolean {
  return name.startsWith('lm.') && name.includes('norm');
}

function softcap(b: GraphBuilder, x: Value, cap: number): Value {
  const bounded = b.op(ops.tanh, [b.op(ops.mul, [x, b.literal('f32', [], [1 / cap])], {})], {});
  return b.op(ops.mul, [bounded, b.literal('f32', [], [cap])], {});
}

/**
 * ColPali's vectors, one a token (arXiv:2407.01449; transformers, modeling_colpali.py): projected, of length 1, 0 for
 * padding. A row over its length is its RMSNorm with scale E^-0.5.
 */
function retrievalEmbeddings({ b, w }: Context, x: Value, attentionMask: Value, width: number): Value {
  const projected = b.op(ops.linear, [x, w('embedding_proj.w'), w('embedding_proj.b')], {});
  const units = b.op(
    ops.rms_norm,
    [
      projected,
      b.literal(
        'f32',
        [width],
        Array.from({ length: width }, () => width ** -0.5),
      ),
    ],
    { epsilon: 0 },
  );
  const slots = b.op(ops.add, [b.op(ops.iota, [], { length: seq }), b.op(ops.dim_value, [], { dim: past })], {});
  const own = b.op(
    ops.transpose,
    [b.op(ops.gather, [b.op(ops.transpose, [attentionMask], { perm: [1, 0] }), slots], {})],
    { perm: [1, 0] },
  );
  return b.op(
    ops.mul,
    [units, b.op(ops.cast, [b.op(ops.reshape, [own], { shape: [batch, seq, 1] })], { to: 'f32' })],
    {},
  );
}
