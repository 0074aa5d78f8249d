import { GraphBuilder } from '../../../ir/builder.ts';
import { sym, type Dim } from '../../../ir/dim.ts';
import type { Graph, Value } from '../../../ir/graph.ts';
import { ops } from '../../../ir/ops/index.ts';
import { imageTokens, type VisionConfig } from './config.ts';
import { weightsOf, type CanonicalWeights } from './weights.ts';

/**
 * SigLIP and the projector (spec A.1): pixel_values f32[images, 3, H, W] in [-1, 1] to image_features f32[images, P,
 * D], which are not scaled.
 */
export function visionEncoder(config: VisionConfig, weights: CanonicalWeights): Graph {
  const b = new GraphBuilder('vision_encoder');
  const w = weightsOf(b, weights);
  const images = sym('images');
  const tokens = imageTokens(config);
  const pixels = b.input('pixel_values', { dtype: 'f32', shape: [images, 3, config.imageSize, config.imageSize] });
  const patches = b.op(ops.conv2d, [pixels, w('vit.patch.w'), w('vit.patch.b')], {
    strides: [config.patchSize, config.patchSize],
    padding: [0, 0],
  });
  const rows = b.op(ops.transpose, [b.op(ops.reshape, [patches], { shape: [images, config.width, tokens] })], {
    perm: [0, 2, 1],
  });
  let x = b.op(ops.add, [rows, w('vit.pos')], {});
  b.stage('vit.0', x);
  for (let i = 0; i < config.layers; i++) {
    x = b.within(`vit.${i}`, () => block(b, x, (name) => w(`vit.${i}.${name}`), config, [images, tokens]));
    b.stage(`vit.${i + 1}`, x);
  }
  x = b.op(ops.layer_norm, [x, w('vit.ln_post.w'), w('vit.ln_post.b')], { epsilon: config.epsilon });
  b.stage('vit.post_layernorm', x);
  const features = b.op(ops.linear, [x, w('proj.w'), w('proj.b')], {});
  b.stage('image_features', features);
  b.output('image_features', features);
  return b.build();
}

/** x += out(attention(LN1 x)); x += fc2(gelu(fc1(LN2 x))): pre-norm, every position sees every other. */
function block(
  b: GraphBuilder,
  x: Value,
  w: (name: string) => Value,
  config: VisionConfig,
  [images, tokens]: readonly [Dim, number],
): Value {
  const { heads, headDim, epsilon } = config;
  const normed = b.op(ops.layer_norm, [x, w('ln1.w'), w('ln1.b')], { epsilon });
  const perHead = (part: string) =>
    b.op(ops.reshape, [b.op(ops.linear, [normed, w(`${part}.w`), w(`${part}.b`)], {})], {
      shape: [images, tokens, heads, headDim],
    });
  const headsFirst = (value: Value) => b.op(ops.transpose, [value], { perm: [0, 2, 1, 3] });
  const query = b.op(ops.mul, [perHead('q'), b.literal('f32', [], [headDim ** -0.5])], {});
  const mixed = b.op(ops.attention, [query, headsFirst(perHead('k')), headsFirst(perHead('v'))], { softcap: 0 });
  const joined = b.op(ops.reshape, [mixed], { shape: [images, tokens, heads * headDim] });
  const attended = b.op(ops.add, [x, b.op(ops.linear, [joined, w('o.w'), w('o.b')], {})], {});
  const inner = b.op(
    ops.linear,
    [b.op(ops.layer_norm, [attended, w('ln2.w'), w('ln2.b')], { epsilon }), w('fc1.w'), w('fc1.b')],
    {},
  );
  return b.op(
    ops.add,
    [attended, b.op(ops.linear, [b.op(ops.gelu_tanh, [inner], {}), w('fc2.w'), w('fc2.b')], {})],
    {},
  );
}
