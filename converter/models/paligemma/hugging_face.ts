import type { TensorData } from '../../../ir/tensor.ts';
import type { PaliGemmaConfig, TextConfig } from './config.ts';
import { canonicalShapes } from './weights.ts';

/** Parts of a layer whose names do not follow a rule (spec E). */
const VISION_PARTS: Readonly<Record<string, string>> = {
  ln1: 'layer_norm1',
  q: 'self_attn.q_proj',
  k: 'self_attn.k_proj',
  v: 'self_attn.v_proj',
  o: 'self_attn.out_proj',
  ln2: 'layer_norm2',
  fc1: 'mlp.fc1',
  fc2: 'mlp.fc2',
};
/** Gemma 1 and 2 use one name, post_attention_layernorm, for norms in different places (spec H.11). */
const GEMMA_1_NORMS: Readonly<Record<string, string>> = { norm_mlp_in: 'post_attention_layernorm' };
const GEMMA_2_NORMS: Readonly<Record<string, string>> = {
  norm_attn_out: 'post_attention_layernorm',
  norm_mlp_in: 'pre_feedforward_layernorm',
  norm_mlp_out: 'post_feedforward_layernorm',
};
const TEXT_PARTS: Readonly<Record<string, string>> = {
  norm_attn_in: 'input_layernorm',
  q: 'self_attn.q_proj',
  k: 'self_attn.k_proj',
  v: 'self_attn.v_proj',
  o: 'self_attn.o_proj',
  gate: 'mlp.gate_proj',
  up: 'mlp.up_proj',
  down: 'mlp.down_proj',
};
const FIXED: Readonly<Record<string, string>> = {
  'vit.patch.w': 'vision_tower.embeddings.patch_embedding.weight',
  'vit.patch.b': 'vision_tower.embeddings.patch_embedding.bias',
  'vit.pos': 'vision_tower.embeddings.position_embedding.weight',
  'vit.ln_post.w': 'vision_tower.post_layernorm.weight',
  'vit.ln_post.b': 'vision_tower.post_layernorm.bias',
  'proj.w': 'multi_modal_projector.linear.weight',
  'proj.b': 'multi_modal_projector.linear.bias',
  'lm.embed': 'language_model.embed_tokens.weight',
  'lm.norm': 'language_model.norm.weight',
  'lm.head': 'lm_head.weight',
  'embedding_proj.w': 'embedding_proj_layer.weight',
  'embedding_proj.b': 'embedding_proj_layer.bias',
};

/** The normalised Hugging Face name of a canonical weight. */
export function huggingFaceName(canonical: string, { postNorms }: Pick<TextConfig, 'postNorms'>): string {
  const fixed = FIXED[canonical];
  if (fixed) return fixed;
  const [tower, layer, part, kind] = canonical.split('.') as [string, string, string, string | undefined];
  if (tower === 'vit')
    return `vision_tower.encoder.layers.${layer}.${VISION_PARTS[part]}.${kind === 'b' ? 'bias' : 'weight'}`;
  const norms = postNorms ? GEMMA_2_NORMS : GEMMA_1_NORMS;
  return `language_model.layers.${layer}.${norms[part] ?? TEXT_PARTS[part]}.weight`;
}

/** The canonical weights among tensors by normalised name: those that the model has; others are in nobody's way. */
export function canonicalFromHuggingFace(
  tensors: ReadonlyMap<string, TensorData>,
  config: PaliGemmaConfig,
): Map<string, TensorData> {
  const weights = new Map<string, TensorData>();
  for (const [name, canonical] of canonicalNames(config)) {
    const data = tensors.get(name);
    if (data) weights.set(canonical, data);
  }
  return weights;
}

/** Every canonical name by the normalised Hugging Face name of its parameter. */
export function canonicalNames(config: PaliGemmaConfig): ReadonlyMap<string, string> {
  return new Map(
    [...canonicalShapes(config, config.tableRows).keys(), 'lm.head'].map((canonical) => [
      huggingFaceName(canonical, config.text),
      canonical,
    ]),
  );
}

/** The same name as checkpoints of the Hub spell it (generation (a) of spec D.1): what `synth` writes. */
export function hubName(canonical: string, text: Pick<TextConfig, 'postNorms'>): string {
  return huggingFaceName(canonical, text)
    .replace(/^language_model\./, 'language_model.model.')
    .replace(/^vision_tower\./, 'vision_tower.vision_model.')
    .replace(/^lm_head\./, 'language_model.lm_head.');
}
