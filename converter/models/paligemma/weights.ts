import type { GraphBuilder } from '../../../ir/builder.ts';
import type { Value } from '../../../ir/graph.ts';
import type { TensorData } from '../../../ir/tensor.ts';
import { castData } from '../../../ir/views/cast.ts';
import { BadInputError } from '../../errors.ts';
import { imageTokens, type PaliGemmaConfig } from './config.ts';

/**
 * Every weight under one name, whatever layout it came from (spec E): linear weights [out, in], the patch kernel
 * [out, 3, p, p], norm scales as stored (Gemma keeps the offset from 1). A layer's norms are named by what they do,
 * since Hugging Face's `post_attention_layernorm` is `norm_mlp_in` in Gemma 1 and `norm_attn_out` in Gemma 2.
 */
export type CanonicalWeights = ReadonlyMap<string, TensorData>;

/** Names and shapes that a model of these sizes has. `lm.head` comes on top when it is not the embedding. */
export function canonicalShapes(config: PaliGemmaConfig, tableRows: number): Map<string, readonly number[]> {
  const { vision, text } = config;
  const v = vision.width;
  const d = text.width;
  const shapes = new Map<string, readonly number[]>([
    ['vit.patch.w', [v, 3, vision.patchSize, vision.patchSize]],
    ['vit.patch.b', [v]],
    ['vit.pos', [imageTokens(vision), v]],
  ]);
  for (let i = 0; i < vision.layers; i++) {
    const layer: Record<string, readonly number[]> = { 'ln1.w': [v], 'ln1.b': [v] };
    for (const part of ['q', 'k', 'v', 'o']) Object.assign(layer, { [`${part}.w`]: [v, v], [`${part}.b`]: [v] });
    Object.assign(layer, { 'ln2.w': [v], 'ln2.b': [v] });
    Object.assign(layer, {
      'fc1.w': [vision.mlpWidth, v],
      'fc1.b': [vision.mlpWidth],
      'fc2.w': [v, vision.mlpWidth],
      'fc2.b': [v],
    });
    for (const [part, shape] of Object.entries(layer)) shapes.set(`vit.${i}.${part}`, shape);
  }
  shapes
    .set('vit.ln_post.w', [v])
    .set('vit.ln_post.b', [v])
    .set('proj.w', [d, v])
    .set('proj.b', [d])
    .set('lm.embed', [tableRows, d]);
  for (let i = 0; i < text.layers; i++) {
    const layer = {
      norm_attn_in: [d],
      q: [text.heads * text.headDim, d],
      k: [text.kvHeads * text.headDim, d],
      v: [text.kvHeads * text.headDim, d],
      o: [d, text.heads * text.headDim],
      ...(text.postNorms && { norm_attn_out: [d] }),
      norm_mlp_in: [d],
      gate: [text.mlpWidth, d],
      up: [text.mlpWidth, d],
      down: [d, text.mlpWidth],
      ...(text.postNorms && { norm_mlp_out: [d] }),
    };
    for (const [part, shape] of Object.entries(layer)) shapes.set(`lm.${i}.${part}`, shape);
  }
  shapes.set('lm.norm', [d]);
  if (config.retrievalWidth > 0)
    shapes.set('embedding_proj.w', [config.retrievalWidth, d]).set('embedding_proj.b', [config.retrievalWidth]);
  return shapes;
}

/**
 * @param tokens rows that table and head have at least: fewer while an adapter is still to bring its own
 * @throws BadInputError naming the first weight that is missing, superfluous or of another shape.
 */
export function checkWeights(
  weights: CanonicalWeights,
  config: PaliGemmaConfig,
  sourceName: (canonical: string) => string,
  tokens = config.vocabSize,
): void {
  const tableRows = Math.max(weights.get('lm.embed')?.shape[0] ?? config.tableRows, tokens);
  const head = weights.get('lm.head');
  const headShape = [Math.max(head?.shape[0] ?? 0, tokens), config.text.width];
  for (const [name, shape] of [
    ...canonicalShapes(config, tableRows),
    ...(head ? [['lm.head', headShape] as const] : []),
  ]) {
    const data = weights.get(name);
    if (!data)
      throw new BadInputError('missing_tensor', `the checkpoint has no "${sourceName(name)}"`, {
        tensor: sourceName(name),
        hint: 'take a complete checkpoint: every layer has the same tensors',
      });
    if (data.shape.join() !== shape.join())
      throw new BadInputError(
        'shape_mismatch',
        `"${sourceName(name)}" gives [${data.shape.join(', ')}] where the other tensors say [${shape.join(', ')}]`,
        {
          tensor: data.from?.key ?? sourceName(name),
          ...(data.from && { file: data.from.file, offset: data.from.byteOffset }),
          hint: 'the files may come from different checkpoints: download them again, all from one revision',
        },
      );
  }
}

/** Looks weights up by canonical name as f32 constants of a graph; each is added when it is first used. */
export function weightsOf(b: GraphBuilder, weights: CanonicalWeights): (name: string) => Value {
  const added = new Map<string, Value>();
  return (name) => {
    const data = weights.get(name);
    if (!data) throw new Error(`no weight "${name}"`);
    const value = added.get(name) ?? b.weight(name, castData(data, 'f32'));
    added.set(name, value);
    return value;
  };
}
