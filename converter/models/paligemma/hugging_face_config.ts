import { z } from 'zod';
import { BadInputError } from '../../errors.ts';

/** Far beyond any real model, far below what an attack would ask for. */
const size = z
  .int()
  .positive()
  .max(1 << 24);
const id = z
  .int()
  .nonnegative()
  .max(1 << 24);

/** Thirty times PaliGemma's, and twice Gemma 3's: a bundle has a row of angles for each. */
const positions = size.max(1 << 18);

/**
 * The fields of config.json that matter. None is relied on to be there, and class defaults are never taken: they are
 * another model's (spec D.2). Fields that mislead are not read at all: top-level hidden_size and vocab_size.
 */
const schema = z.looseObject({
  model_type: z.string().optional(),
  image_token_index: id.optional(),
  image_token_id: id.optional(),
  bos_token_id: id.nullish(),
  eos_token_id: z.union([id, z.array(id).min(1)]).nullish(),
  pad_token_id: id.nullish(),
  text_config: z
    .looseObject({
      model_type: z.string().optional(),
      hidden_size: size.optional(),
      intermediate_size: size.optional(),
      num_hidden_layers: size.optional(),
      num_attention_heads: size.optional(),
      num_key_value_heads: size.optional(),
      head_dim: size.optional(),
      max_position_embeddings: positions.optional(),
      rms_norm_eps: z.number().positive().max(1).optional(),
      rope_theta: z.number().positive().optional(),
      rope_parameters: z
        .looseObject({ rope_theta: z.number().positive().optional(), rope_type: z.string().optional() })
        .nullish(),
      hidden_act: z.string().optional(),
      hidden_activation: z.string().nullish(),
      attention_bias: z.boolean().optional(),
      query_pre_attn_scalar: z.number().positive().optional(),
      attn_logit_softcapping: z.number().positive().nullish(),
      final_logit_softcapping: z.number().positive().nullish(),
      sliding_window: size.nullish(),
      layer_types: z.array(z.enum(['sliding_attention', 'full_attention'])).nullish(),
    })
    .optional(),
  vision_config: z
    .looseObject({
      hidden_size: size.optional(),
      intermediate_size: size.optional(),
      num_hidden_layers: size.optional(),
      num_attention_heads: size.optional(),
      image_size: size.optional(),
      patch_size: size.optional(),
      layer_norm_eps: z.number().positive().max(1).optional(),
      hidden_act: z.string().optional(),
    })
    .optional(),
});
export type HuggingFaceConfig = z.infer<typeof schema>;

/** @throws BadInputError naming the field whose value cannot be. */
export function parseHuggingFaceConfig(value: unknown, file: string): HuggingFaceConfig {
  const result = schema.safeParse(value ?? {});
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new BadInputError('bad_config', `${issue.path.join('.') || 'the file'}: ${issue.message}`, {
    file,
    hint: `correct ${issue.path.join('.') || 'it'}, or take config.json from the model that was fine-tuned`,
  });
}
