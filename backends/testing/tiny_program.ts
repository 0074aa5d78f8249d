import { GraphBuilder } from '../../ir/builder.ts';
import { addDims, sym } from '../../ir/dim.ts';
import type { Graph, Program, ProgramMetadata, Value } from '../../ir/graph.ts';
import { ops } from '../../ir/ops/index.ts';
import { tensorData, type TensorData } from '../../ir/tensor.ts';
import { randomTensor, seedOf } from '../../ir/testing/random.ts';

/** Facts that no test of a backend looks at. */
const metadata: ProgramMetadata = {
  family: 'test',
  variant: 'tiny',
  imageSize: 8,
  imageTokens: 4,
  imageTokenId: 20,
  vocabSize: 24,
  layers: 2,
  kvHeads: 1,
  headDim: 8,
  hiddenSize: 16,
  bosTokenId: 2,
  eosTokenId: 1,
  padTokenId: 0,
  maxPositions: 64,
};

export function programOf(...graphs: readonly Graph[]): Program {
  return { graphs, metadata };
}

/** A weight whose values follow from its name, scaled down as trained ones are. */
export function randomWeight(name: string, shape: readonly number[], scale = 0.5): TensorData {
  const tensor = randomTensor('f32', shape, seedOf(name));
  return tensorData({ ...tensor, data: tensor.data.map((x) => x * scale) });
}

const [WIDTH, HEADS, HEAD_DIM, INNER, VOCAB, LAYERS, POSITIONS] = [16, 4, 8, 24, 24, 2, 64];

/**
 * Decoder of a small Gemma-like model with the ports of a real one: prefix mask, rope, 1-head KV cache, softcap, tied
 * head.
 */
function tinyDecoder(): Graph {
  const b = new GraphBuilder('decoder');
  const [batch, seq, past] = [sym('batch_size'), sym('seq'), sym('past')];
  const total = addDims(past, seq);
  let x = b.input('inputs_embeds', { dtype: 'f32', shape: [batch, seq, WIDTH] });
  const mask = b.input('attention_mask', { dtype: 'i64', shape: [batch, total] });
  const positions = b.input('position_ids', { dtype: 'i64', shape: [batch, seq] });
  const keep = b.input('num_logits_to_keep', { dtype: 'i64', shape: [] });
  const caches = Array.from({ length: LAYERS }, (_, i) =>
    ['key', 'value'].map((kind) =>
      b.input(`past_key_values.${i}.${kind}`, { dtype: 'f32', shape: [batch, 1, past, HEAD_DIM] }),
    ),
  );
  const weight = (name: string, ...shape: number[]) => b.weight(name, randomWeight(name, shape));
  const [cos, sin] = [weight('rope.cos', POSITIONS, HEAD_DIM / 2), weight('rope.sin', POSITIONS, HEAD_DIM / 2)];
  const bias = b.within('mask', () => prefixBias(b, mask));
  b.stage('lm.0', x);
  const presents = caches.map(([pastKey, pastValue], i) =>
    b.within(`lm.${i}`, () => {
      const normed = b.op(ops.rms_norm, [x, weight(`lm.${i}.norm`, WIDTH)], { epsilon: 1e-6 });
      const heads = (name: string, count: number) =>
        b.op(ops.reshape, [b.op(ops.linear, [normed, weight(`lm.${i}.${name}`, count * HEAD_DIM, WIDTH)], {})], {
          shape: [batch, seq, count, HEAD_DIM],
        });
      const rotate = (v: Value) => b.op(ops.rope, [v, positions, cos, sin], {});
      const append = (cache: Value, v: Value) =>
        b.op(ops.concat, [cache, b.op(ops.transpose, [v], { perm: [0, 2, 1, 3] })], { axis: 2 });
      const [key, value] = [append(pastKey!, rotate(heads('k', 1))), append(pastValue!, heads('v', 1))];
      const mixed = b.op(ops.attention, [rotate(heads('q', HEADS)), key, value, bias], { softcap: i === 0 ? 0 : 5 });
      const joined = b.op(ops.reshape, [mixed], { shape: [batch, seq, HEADS * HEAD_DIM] });
      x = b.op(
        ops.add,
        [
          x,
          b.op(ops.linear, [joined, weight(`lm.${i}.o`, WIDTH, HEADS * HEAD_DIM), weight(`lm.${i}.o.bias`, WIDTH)], {}),
        ],
        {},
      );
      const inner = b.op(ops.gelu_tanh, [b.op(ops.linear, [x, weight(`lm.${i}.up`, INNER, WIDTH)], {})], {});
      x = b.op(ops.add, [x, b.op(ops.linear, [inner, weight(`lm.${i}.down`, WIDTH, INNER)], {})], {});
      b.stage(`lm.${i + 1}`, x);
      return { key, value };
    }),
  );
  const kept = b.op(ops.take_last, [x, keep], { axis: 1, kept: sym('kept') });
  b.output('logits', b.op(ops.linear, [kept, weight('lm.head', VOCAB, WIDTH)], {}));
  presents.forEach(({ key, value }, i) => {
    b.output(`present.${i}.key`, key);
    b.output(`present.${i}.value`, value);
  });
  return b.build();
}

/** Additive bias[B, 1, S, past + S]: padding always; causal among the new tokens once there is a past. */
function prefixBias(b: GraphBuilder, mask: Value): Value {
  const [batch, seq, past] = [sym('batch_size'), sym('seq'), sym('past')];
  const total = addDims(past, seq);
  const row = b.op(
    ops.reshape,
    [b.op(ops.add, [b.op(ops.iota, [], { length: seq }), b.op(ops.dim_value, [], { dim: past })], {})],
    { shape: [seq, 1] },
  );
  const column = b.op(ops.reshape, [b.op(ops.iota, [], { length: total })], { shape: [1, total] });
  const isPrefill = b.op(ops.equal, [b.op(ops.dim_value, [], { dim: past }), b.literal('i64', [], [0])], {});
  const visible = b.op(ops.or, [b.op(ops.less_equal, [column, row], {}), isPrefill], {});
  const real = b.op(ops.reshape, [b.op(ops.equal, [mask, b.literal('i64', [], [1])], {})], {
    shape: [batch, 1, 1, total],
  });
  const allowed = b.op(ops.and, [real, visible], {});
  return b.op(ops.expand, [b.op(ops.where, [allowed, b.literal('f32', [], [0]), b.literal('f32', [], [-1e30])], {})], {
    shape: [batch, 1, seq, total],
  });
}

/** Patches of a picture, layer norm, projection with a bias, gelu. */
function tinyVision(): Graph {
  const b = new GraphBuilder('vision_encoder');
  const images = sym('images');
  const pixels = b.input('pixel_values', { dtype: 'f32', shape: [images, 3, 8, 8] });
  const weight = (name: string, ...shape: number[]) => b.weight(name, randomWeight(name, shape));
  const patches = b.op(ops.conv2d, [pixels, weight('patch', WIDTH, 3, 4, 4), weight('patch.bias', WIDTH)], {
    strides: [4, 4],
    padding: [0, 0],
  });
  const rows = b.op(ops.transpose, [b.op(ops.reshape, [patches], { shape: [images, WIDTH, 4] })], { perm: [0, 2, 1] });
  const embedded = b.op(ops.add, [rows, weight('position', 4, WIDTH)], {});
  b.stage('vit.0', embedded);
  const normed = b.op(ops.layer_norm, [embedded, weight('norm', WIDTH), weight('norm.bias', WIDTH)], { epsilon: 1e-6 });
  const features = b.op(
    ops.gelu_tanh,
    [b.op(ops.linear, [normed, weight('project', WIDTH, WIDTH), weight('project.bias', WIDTH)], {})],
    {},
  );
  b.stage('image_features', features);
  b.output('image_features', features);
  return b.build();
}

/** Rows of a table at ids. */
export function tinyEmbed(): Graph {
  const b = new GraphBuilder('embed_tokens');
  const ids = b.input('input_ids', { dtype: 'i64', shape: [sym('batch_size'), sym('seq')] });
  const rows = b.op(ops.gather, [b.weight('embed', randomWeight('embed', [VOCAB, WIDTH])), ids], {});
  b.output('inputs_embeds', b.op(ops.mul, [rows, b.literal('f32', [], [4])], {}));
  return b.build();
}

export function tinyProgram(): Program {
  return programOf(tinyVision(), tinyEmbed(), tinyDecoder());
}
