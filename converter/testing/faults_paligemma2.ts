import type { GraphBuilder } from '../../ir/builder.ts';
import { sym } from '../../ir/dim.ts';
import type { Node, Value } from '../../ir/graph.ts';
import { ops } from '../../ir/ops/index.ts';
import { imageTokens } from '../models/paligemma/config.ts';
import {
  graphFault,
  isOp,
  nth,
  projectorScaledBy,
  rolled,
  soundProgram,
  swap,
  textFault,
  weightFault,
  withoutNode,
  type Fault,
  type Rule,
} from './fault.ts';
import { TILED_KV } from './faults.ts';

/** What PaliGemma 1's top-level hidden_size is, and what configs of PaliGemma 2 still say (spec D.2). */
const STALE_WIDTH = 2048;

const NORMS = ['norm_attn_in', 'norm_attn_out', 'norm_mlp_in', 'norm_mlp_out'] as const;
const pairsOfNorms = NORMS.flatMap((a, i) => NORMS.slice(i + 1).map((b) => [a, b] as const));

/** An RMSNorm of one kind, in any layer: its scale is 1 + w. */
const normOf =
  (part: string, replace: (norm: Node, ...context: Parameters<Rule>) => ReturnType<Rule>): Rule =>
  (node, context) => {
    const norm = node.op === 'rms_norm' ? node : undefined;
    const scale = norm && context.definitionOf(context.inputs[1]!);
    return norm && scale && 'inputs' in scale && scale.inputs[0]!.name.endsWith(part)
      ? replace(norm, node, context)
      : undefined;
  };
const forgotten = (part: string) => (): Rule => normOf(part, (_, node, context) => withoutNode(node, context));

/** x + norm(y) becomes norm(x + y). */
const normAfterAddition = (part: string) => (): Rule => (node, context) => {
  const { inputs, builder: b, definitionOf } = context;
  const norm = node.op === 'add' && inputs[1] ? definitionOf(inputs[1]) : undefined;
  if (!norm || !('inputs' in norm) || norm.op !== 'rms_norm') return undefined;
  return normOf(part, () => [
    b.op(ops.rms_norm, [b.op(ops.add, [inputs[0]!, norm.inputs[0]!], {}), norm.inputs[1]!], { epsilon: 1e-6 }),
  ])(norm, { ...context, inputs: norm.inputs });
};

const capped = (b: GraphBuilder, x: Value, cap: number) => {
  const bounded = b.op(ops.tanh, [b.op(ops.mul, [x, b.literal('f32', [], [1 / cap])], {})], {});
  return b.op(ops.mul, [bounded, b.literal('f32', [], [cap])], {});
};

/**
 * Logits that are capped in one phase and not in the other, as big_vision's `prefill_cache` and `extend_cache` do it
 * (spec A.5).
 */
const cappedOnly =
  (phase: 'prefill' | 'steps') =>
  (): Rule =>
  (node, { builder: b, inputs }) => {
    if (node.op !== 'linear' || node.inputs[1]!.name !== 'lm.head') return undefined;
    const logits = b.node(ops.linear, inputs, {})[0]!;
    const first = b.op(ops.equal, [b.op(ops.dim_value, [], { dim: sym('past') }), b.literal('i64', [], [0])], {});
    const [whenFirst, later] = phase === 'prefill' ? [capped(b, logits, 30), logits] : [logits, capped(b, logits, 30)];
    return [b.op(ops.where, [first, whenFirst, later], {})];
  };

/**
 * In the mask of layers that slide, the second, the prompt is cut to the window as well: its `or` with an empty cache
 * comes before the cut.
 */
const windowInPrompt = nth(1, isOp('or'), (_, { builder: b, inputs: [near, first], definitionOf }) => {
  const cut = definitionOf(near!);
  if (!cut || !('inputs' in cut) || cut.op !== 'and') throw new Error('no window where it was expected');
  return [b.op(ops.and, [b.op(ops.or, [cut.inputs[0]!, first!], {}), cut.inputs[1]!], {})];
});

/** Faults by the fixture whose golden finds them. */
export const PALIGEMMA_2_FAULTS: Readonly<Record<string, readonly Fault[]>> = {
  'pg2-tiny': [
    graphFault(
      'text embeddings scaled by √ of the stale hidden_size (H.4)',
      'prefill lm.0',
      'embed_tokens',
      () =>
        (node, { builder: b, inputs }) =>
          node.op === 'mul'
            ? [b.op(ops.mul, [inputs[0]!, b.literal('f32', [], [Math.sqrt(STALE_WIDTH)])], {})]
            : undefined,
    ),
    graphFault(
      'image features divided by √D, and not multiplied again (H.4)',
      'vision image_features',
      'vision_encoder',
      projectorScaledBy((width) => width ** -0.5),
    ),
    graphFault(
      'image features multiplied by √D, and not divided before (H.4)',
      'vision image_features',
      'vision_encoder',
      projectorScaledBy(Math.sqrt),
    ),
    graphFault(
      'image features divided by √ of the stale hidden_size, multiplied by √D (H.4)',
      'vision image_features',
      'vision_encoder',
      projectorScaledBy((width) => Math.sqrt(width / STALE_WIDTH)),
    ),
    textFault(
      'head_dim is the number of image tokens (H.8)',
      'prefill lm.1',
      ({ heads, kvHeads, headDim }, { vision }) => {
        const claimed = imageTokens(vision);
        return { headDim: claimed, heads: (heads * headDim) / claimed, kvHeads: (kvHeads * headDim) / claimed };
      },
    ),
    ...pairsOfNorms.map(([a, b]) =>
      weightFault(`${a} and ${b} swapped (H.11)`, 'prefill lm.2', swap(`lm.1.${a}`, `lm.1.${b}`)),
    ),
    weightFault(
      'post_attention_layernorm read as PaliGemma 1 means it, before the MLP (H.11)',
      'prefill lm.1',
      (weights, { text }) => {
        for (let i = 0; i < text.layers; i++) weights.set(`lm.${i}.norm_mlp_in`, weights.get(`lm.${i}.norm_attn_out`)!);
      },
    ),
    {
      name: 'taken for PaliGemma 1: no post-norms, post_attention_layernorm before the MLP (H.11)',
      shows: 'prefill lm.1',
      async build({ config, weights, ...sound }) {
        const renamed = [...weights]
          .filter(([name]) => !/norm_(mlp_in|mlp_out)$/.test(name))
          .map(([name, data]) => [name.replace('norm_attn_out', 'norm_mlp_in'), data] as const);
        return soundProgram({
          ...sound,
          config: { ...config, text: { ...config.text, postNorms: false } },
          weights: new Map(renamed),
        });
      },
    },
    graphFault('norm after attention forgotten', 'prefill lm.1', 'decoder', forgotten('norm_attn_out')),
    graphFault('norm after the MLP forgotten', 'prefill lm.1', 'decoder', forgotten('norm_mlp_out')),
    graphFault(
      'norm after attention on the sum, not on what is added',
      'prefill lm.1',
      'decoder',
      normAfterAddition('norm_attn_out'),
    ),
    graphFault(
      'norm after the MLP on the sum, not on what is added',
      'prefill lm.1',
      'decoder',
      normAfterAddition('norm_mlp_out'),
    ),
    TILED_KV,
    weightFault('embedding a row off, as with a token too few (H.18)', 'prefill lm.0', rolled('lm.embed', 1)),
    weightFault('head a row off (H.18)', 'prefill logits', rolled('lm.head', 1)),
    weightFault('embedding off by 128, the number of <seg> tokens (H.18)', 'prefill lm.0', rolled('lm.embed', 128)),
    weightFault('head off by 128 (H.18)', 'prefill logits', rolled('lm.head', 128)),
  ],
  'pg2-28b-tiny': [
    textFault('attention softcap dropped (H.6)', 'prefill lm.1', () => ({ attentionSoftcap: 0 })),
    graphFault(
      'attention softcap dropped in the last layer alone, whose scores are far beyond it (H.6)',
      'prefill lm.4',
      'decoder',
      nth(3, isOp('attention'), (_, { builder: b, inputs }) => [b.op(ops.attention, [...inputs], { softcap: 0 })]),
    ),
    // scale · cap(x) is cap(scale · x) with a cap that is scaled, too
    textFault('attention softcap before the query scale (H.6)', 'prefill lm.1', ({ attentionSoftcap, queryScale }) => ({
      attentionSoftcap: attentionSoftcap * queryScale,
    })),
    textFault('query scale head_dim^-0.5, not (D/N)^-0.5 (H.7)', 'prefill lm.1', ({ headDim }) => ({
      queryScale: headDim ** -0.5,
    })),
    textFault('query scale 256^-0.5 (H.7)', 'prefill lm.1', () => ({ queryScale: 256 ** -0.5 })),
  ],
  'pg2-window': [
    textFault('odd layers slide, not even ones', 'suffix lm.1', ({ layers, slidingLayers }) => ({
      slidingLayers: Array.from({ length: layers }, (_, i) => i).filter((i) => !slidingLayers.includes(i)),
    })),
    textFault('every layer slides', 'suffix lm.2', ({ layers }) => ({
      slidingLayers: Array.from({ length: layers }, (_, i) => i),
    })),
    textFault('the window has a token too many', 'suffix lm.1', ({ slidingWindow }) => ({
      slidingWindow: slidingWindow + 1,
    })),
    textFault('the window has a token too few', 'suffix lm.1', ({ slidingWindow }) => ({
      slidingWindow: slidingWindow - 1,
    })),
    graphFault('the window cuts the prompt', 'prefill lm.1', 'decoder', windowInPrompt),
  ],
  'pg2-untied': [
    weightFault('the head of its own ignored (D.1)', 'prefill logits', (weights) => void weights.delete('lm.head')),
  ],
};

/**
 * Faults of the final softcap, which leave every token as it is: where logits are beyond it, and which outputs they
 * change (H.5).
 */
export const SOFTCAP_FAULTS: readonly { readonly fault: Fault; readonly changes: readonly string[] }[] = [
  {
    fault: {
      name: 'logits capped',
      shows: 'prefill logits',
      build: async ({ behaviour, ...sound }) =>
        soundProgram({ ...sound, behaviour: { ...behaviour!, finalSoftcap: true } }),
    },
    changes: ['prefill logits', 'suffix logits', 'greedy logits'],
  },
  {
    fault: graphFault('logits capped in the prompt alone', 'prefill logits', 'decoder', cappedOnly('prefill')),
    changes: ['prefill logits', 'greedy logits'],
  },
  {
    fault: graphFault('logits capped from the second token on', 'suffix logits', 'decoder', cappedOnly('steps')),
    changes: ['suffix logits', 'greedy logits'],
  },
];
