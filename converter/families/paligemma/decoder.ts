import { GraphBuilder } from '../../../ir/builder.ts';
import { addDims, sym } from '../../../ir/dim.ts';
import type { Graph, Value } from '../../../ir/graph.ts';
import { ops } from '../../../ir/ops/index.ts';
import { sliceRows } from '../../../ir/views/select.ts';
import type { PaliGemmaConfig, TextConfig } from './config.ts';
import { prefixMask } from './prefix_mask.ts';
import { ropeTables } from './rope_tables.ts';
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
  readonly bias: Value;
  readonly rotate: (x: Value) => Value;
}

/**
 * Gemma 1 (spec A.2), prefill and step in one graph: inputs_embeds f32[batch_size, seq, D], attention_mask
 * i64[batch_size, past + seq], position_ids i64[batch_size, seq], num_logits_to_keep i64[] (0 for all) and a KV cache
 * [batch_size, kv heads, past, H] a layer, keys after rotation; logits f32[batch_size, kept, V] and the longer cache.
 */
export function decoder({ text: config, vocabSize }: PaliGemmaConfig, weights: CanonicalWeights): Graph {
  const b = new GraphBuilder('decoder');
  const head = weights.get('lm.head') ?? weights.get('lm.embed')!;
  const w = weightsOf(b, new Map([...weights, ['lm.head', sliceRows(head, 0, vocabSize)]]));
  let x = b.input('inputs_embeds', { dtype: 'f32', shape: [batch, seq, config.width] });
  const attentionMask = b.input('attention_mask', { dtype: 'i64', shape: [batch, total] });
  const positions = b.input('position_ids', { dtype: 'i64', shape: [batch, seq] });
  const logitsToKeep = b.input('num_logits_to_keep', { dtype: 'i64', shape: [] });
  const cacheShape = [batch, config.kvHeads, past, config.headDim];
  const caches = Array.from({ length: config.layers }, (_, i) =>
    (['key', 'value'] as const).map((kind) => b.input(`past_key_values.${i}.${kind}`, { dtype: 'f32', shape: cacheShape })),
  );
  const [cos, sin] = ropeTables(config).map((table, i) => b.weight(['rope.cos', 'rope.sin'][i]!, table)) as [Value, Value];
  const context: Context = {
    b,
    w,
    config,
    bias: prefixMask(b, attentionMask, { batch, seq, past }),
    rotate: (value) => b.op(ops.rope, [value, positions, cos, sin], {}),
  };
  b.stage('lm.0', x);
  const presents = caches.map(([pastKey, pastValue], i) =>
    b.within(`lm.${i}`, () => {
      const layer = decoderLayer(context, `lm.${i}`, x, pastKey!, pastValue!);
      x = layer.x;
      if (i + 1 < config.layers) b.stage(`lm.${i + 1}`, x);
      return [layer.key, layer.value] as const;
    }),
  );
  const normed = gemmaNorm(context, x, 'lm.norm');
  b.stage(`lm.${config.layers}`, normed);
  const kept = b.op(ops.take_last, [normed, logitsToKeep], { axis: 1, kept: sym('kept') });
  b.output('logits', b.op(ops.linear, [kept, w('lm.head')], {}));
  presents.forEach(([key, value], i) => {
    b.output(`present.${i}.key`, key);
    b.output(`present.${i}.value`, value);
  });
  return b.build();
}

/** x += attention(norm x); x += down(gelu(gate) · up)(norm x). */
function decoderLayer(context: Context, name: string, x: Value, pastKey: Value, pastValue: Value): { x: Value; key: Value; value: Value } {
  const { b, w, config, bias, rotate } = context;
  const { heads, kvHeads, headDim } = config;
  const normed = gemmaNorm(context, x, `${name}.norm_attn_in`);
  const perHead = (part: string, count: number) => b.op(ops.reshape, [b.op(ops.linear, [normed, w(`${name}.${part}`)], {})], { shape: [batch, seq, count, headDim] });
  const extend = (cache: Value, value: Value) => b.op(ops.concat, [cache, b.op(ops.transpose, [value], { perm: [0, 2, 1, 3] })], { axis: 2 });
  const query = b.op(ops.mul, [rotate(perHead('q', heads)), b.literal('f32', [], [headDim ** -0.5])], {});
  const key = extend(pastKey, rotate(perHead('k', kvHeads)));
  const value = extend(pastValue, perHead('v', kvHeads));
  const mixed = b.op(ops.attention, [query, key, value, bias], { softcap: 0 });
  const joined = b.op(ops.reshape, [mixed], { shape: [batch, seq, heads * headDim] });
  const attended = b.op(ops.add, [x, b.op(ops.linear, [joined, w(`${name}.o`)], {})], {});
  const inner = gemmaNorm(context, attended, `${name}.norm_mlp_in`);
  const gate = b.op(ops.gelu_tanh, [b.op(ops.linear, [inner, w(`${name}.gate`)], {})], {});
  const gated = b.op(ops.mul, [gate, b.op(ops.linear, [inner, w(`${name}.up`)], {})], {});
  return { x: b.op(ops.add, [attended, b.op(ops.linear, [gated, w(`${name}.down`)], {})], {}), key, value };
}

/** RMSNorm whose stored scale is an offset from 1. */
function gemmaNorm({ b, w, config }: Context, x: Value, name: string): Value {
  const scale = b.op(ops.add, [w(name), b.literal('f32', [], [1])], {});
  return b.op(ops.rms_norm, [x, scale], { epsilon: config.epsilon });
}
