import type { Node } from '../../ir/graph.ts';
import { ops } from '../../ir/ops/index.ts';
import { transposeData } from '../../ir/views/transpose.ts';
import {
  graphFault,
  isOp,
  newKeysFirst,
  nth,
  projectorScaledBy,
  reorder,
  reorderRows,
  rolled,
  suffixShifted,
  swap,
  weightFault,
  withoutNode,
  type Edit,
  type Fault,
} from './fault.ts';

export type { Fault, Sound } from './fault.ts';

const transposed =
  (name: string): Edit =>
  (weights) => {
    const data = weights.get(name)!;
    if (data.shape[0] !== data.shape[1]) throw new Error(`"${name}" is not square`);
    weights.set(name, transposeData(data, [1, 0]));
  };

/** RMSNorm's `1 + w`: an addition whose operand is a norm's weight. */
const addsOne = (node: Node) => node.op === 'add' && /norm/.test(node.inputs[0]!.name);

/** Query heads read KV head j mod K instead of floor(j / (N / K)): the same as moving the heads, in q and in o. */
export const TILED_KV = weightFault('KV heads tiled, not repeated', 'prefill lm.1', async (weights, { text }) => {
  const { heads, kvHeads, headDim, layers } = text;
  const group = heads / kvHeads;
  const headAt = (slot: number) => (slot % group) * kvHeads + Math.floor(slot / group);
  const from = (i: number) => headAt(Math.floor(i / headDim)) * headDim + (i % headDim);
  for (let layer = 0; layer < layers; layer++) {
    await reorderRows(weights, `lm.${layer}.q`, from);
    await reorder(weights, `lm.${layer}.o`, (i, { shape }) => i - (i % shape[1]!) + from(i % shape[1]!));
  }
});

/** Of PaliGemma 1, as pg1-tiny has it. Layers are counted from 0; stage `lm.1` is what comes out of layer 0. */
export const FAULTS: readonly Fault[] = [
  graphFault(
    'decoder norms scale by w, not 1 + w',
    'prefill lm.1',
    'decoder',
    () => (node, context) => (addsOne(node) ? withoutNode(node, context) : undefined),
  ),
  graphFault(
    'decoder norms add 1 twice',
    'prefill lm.1',
    'decoder',
    () =>
      (node, { builder, inputs }) =>
        addsOne(node)
          ? [builder.op(ops.add, [builder.op(ops.add, [...inputs], {}), builder.literal('f32', [], [1])], {})]
          : undefined,
  ),
  graphFault('only the final norm scales by w', 'prefill lm.3', 'decoder', nth(6, addsOne, withoutNode)),
  weightFault('norms of attention and MLP swapped', 'prefill lm.2', swap('lm.1.norm_attn_in', 'lm.1.norm_mlp_in')),
  weightFault('gate and up swapped', 'prefill lm.2', swap('lm.1.gate', 'lm.1.up')),
  weightFault('k and v swapped in the decoder', 'prefill lm.1', swap('lm.0.k', 'lm.0.v')),
  weightFault('k and v swapped in the image tower', 'vision vit.2', (weights, config) => {
    void swap('vit.1.k.w', 'vit.1.v.w')(weights, config);
    void swap('vit.1.k.b', 'vit.1.v.b')(weights, config);
  }),
  weightFault('query matrix of the image tower transposed', 'vision vit.1', transposed('vit.0.q.w')),
  weightFault('output matrix of the image tower transposed', 'vision vit.3', transposed('vit.2.o.w')),
  weightFault(
    'rotary embedding interleaved, not half-split',
    'prefill lm.1',
    async (weights, { text: { headDim, layers } }) => {
      const half = headDim / 2;
      const from = (row: number) =>
        row - (row % headDim) + ((row % headDim) % half) * 2 + Math.floor((row % headDim) / half);
      for (let layer = 0; layer < layers; layer++)
        for (const part of ['q', 'k']) await reorderRows(weights, `lm.${layer}.${part}`, from);
    },
  ),
  graphFault(
    'prompt is causal',
    'prefill lm.1',
    'decoder',
    () =>
      (node, { inputs }) =>
        node.op === 'or' ? [inputs[0]!] : undefined,
  ),
  graphFault(
    'suffix is bidirectional',
    'suffix lm.1',
    'decoder',
    () =>
      (node, { builder: b, inputs: [causal] }) =>
        node.op === 'or' ? [b.op(ops.or, [causal!, b.op(ops.not, [causal!], {})], {})] : undefined,
  ),
  graphFault('positions of the suffix are one further', 'suffix lm.1', 'decoder', suffixShifted(1)),
  graphFault('new keys go before the cache', 'suffix lm.1', 'decoder', nth(0, isOp('concat'), newKeysFirst)),
  graphFault(
    'keys and values rounded to bf16',
    'prefill lm.1',
    'decoder',
    () =>
      (node, { builder: b, inputs }) =>
        node.op === 'concat'
          ? [
              b.op(ops.cast, [b.op(ops.cast, [b.op(ops.concat, [...inputs], { axis: 2 })], { to: 'bf16' })], {
                to: 'f32',
              }),
            ]
          : undefined,
  ),
  graphFault(
    'exact gelu in the image tower',
    'vision vit.1',
    'vision_encoder',
    () =>
      (node, { builder: b, inputs }) =>
        node.op === 'gelu_tanh' ? [b.op(ops.gelu_erf, [...inputs], {})] : undefined,
  ),
  graphFault(
    'exact gelu in the decoder',
    'prefill lm.1',
    'decoder',
    () =>
      (node, { builder: b, inputs }) =>
        node.op === 'gelu_tanh' ? [b.op(ops.gelu_erf, [...inputs], {})] : undefined,
  ),
  graphFault(
    'no √D on text embeddings',
    'prefill lm.0',
    'embed_tokens',
    () => (node, context) => (node.op === 'mul' ? withoutNode(node, context) : undefined),
  ),
  graphFault(
    'image features divided by √D',
    'vision image_features',
    'vision_encoder',
    projectorScaledBy((width) => width ** -0.5),
  ),
  graphFault(
    'image features multiplied by √D',
    'vision image_features',
    'vision_encoder',
    projectorScaledBy(Math.sqrt),
  ),
  graphFault(
    'last norm of the image tower forgotten',
    'vision vit.post_layernorm',
    'vision_encoder',
    nth(6, isOp('layer_norm'), withoutNode),
  ),
  weightFault('red and blue swapped', 'vision vit.0', (weights) =>
    reorder(weights, 'vit.patch.w', (i, { shape: [, channels, height, width] }) => {
      const plane = height! * width!;
      const channel = Math.floor(i / plane) % channels!;
      return i + (channels! - 1 - 2 * channel) * plane;
    }),
  ),
  weightFault('patches turned: x and y swapped', 'vision vit.0', (weights) =>
    Promise.resolve(void weights.set('vit.patch.w', transposeData(weights.get('vit.patch.w')!, [0, 1, 3, 2]))),
  ),
  weightFault('positions of patches turned', 'vision vit.0', (weights) =>
    reorderRows(weights, 'vit.pos', (row) => {
      const side = Math.sqrt(weights.get('vit.pos')!.shape[0]!);
      return (row % side) * side + Math.floor(row / side);
    }),
  ),
  weightFault('head one row off', 'prefill logits', rolled('lm.head', 1)),
];

/**
 * LayerNorm's and RMSNorm's epsilon is 1e-6; torch's default is ten times that, and only inputs of little variance
 * tell.
 */
export const COARSE_EPSILON: readonly Fault[] = [
  graphFault(
    'epsilon 1e-5 in the image tower',
    'vision vit.1',
    'vision_encoder',
    () =>
      (node, { builder: b, inputs }) =>
        node.op === 'layer_norm' ? [b.op(ops.layer_norm, [...inputs], { epsilon: 1e-5 })] : undefined,
  ),
  graphFault(
    'epsilon 1e-5 in the last norm of the image tower only',
    'vision vit.post_layernorm',
    'vision_encoder',
    nth(6, isOp('layer_norm'), (_, { builder: b, inputs }) => [b.op(ops.layer_norm, [...inputs], { epsilon: 1e-5 })]),
  ),
  graphFault(
    'epsilon 1e-5 in the decoder',
    'prefill lm.1',
    'decoder',
    () =>
      (node, { builder: b, inputs }) =>
        node.op === 'rms_norm' ? [b.op(ops.rms_norm, [...inputs], { epsilon: 1e-5 })] : undefined,
  ),
];

/** Padding that is attended shows only where there is padding. */
export const PADDING_SEEN: Fault = graphFault(
  'padding is attended',
  'prefill lm.1',
  'decoder',
  () =>
    (node, { builder: b, inputs: [visible, token] }) =>
      node.op === 'and'
        ? [b.op(ops.and, [visible!, b.op(ops.or, [token!, b.op(ops.not, [token!], {})], {})], {})]
        : undefined,
);
