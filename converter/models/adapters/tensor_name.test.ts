import { expect, test } from 'vitest';
import { parseTensorName } from './tensor_name.ts';

const P = 'base_model.model.model.language_model.layers.0.self_attn.q_proj';
const q = 'model.language_model.layers.0.self_attn.q_proj';

test.each([
  [`${P}.lora_A.weight`, 'lora_A', [`${q}.weight`]],
  [`${P}.lora_B.default.weight`, 'lora_B', [`${q}.weight`]],
  [`${P}.lora_B.bias`, 'lora_B.bias', [`${q}.bias`]],
  [`${P}.lora_B.my-adapter.bias`, 'lora_B.bias', [`${q}.bias`]],
  [`${P}.lora_magnitude_vector`, 'magnitude', [`${q}.weight`]],
  [`${P}.lora_magnitude_vector.weight`, 'magnitude', [`${q}.weight`]],
  [`${P}.lora_magnitude_vector.default`, 'magnitude', [`${q}.weight`]],
  [`${P}.lora_magnitude_vector.default.weight`, 'magnitude', [`${q}.weight`]],
  [`${P}.base_layer.bias`, 'base_layer', [`${q}.bias`]],
  [`${P}.bias`, 'full', [`${q}.bias`]],
  [
    'base_model.model.model.language_model.embed_tokens.lora_embedding_A',
    'lora_embedding_A',
    ['model.language_model.embed_tokens.weight'],
  ],
  [
    'base_model.model.model.language_model.embed_tokens.lora_embedding_B.default',
    'lora_embedding_B',
    ['model.language_model.embed_tokens.weight'],
  ],
  [
    'base_model.model.model.language_model.embed_tokens.base_layer.weight',
    'base_layer',
    ['model.language_model.embed_tokens.weight'],
  ],
  ['base_model.model.lm_head.modules_to_save.weight', 'full', ['lm_head.weight']],
  ['base_model.model.lm_head.modules_to_save.default.weight', 'full', ['lm_head.weight', 'lm_head.default.weight']],
  [
    'base_model.model.multi_modal_projector.modules_to_save.default.linear.bias',
    'full',
    ['multi_modal_projector.linear.bias', 'multi_modal_projector.default.linear.bias'],
  ],
  [
    'base_model.model.multi_modal_projector.modules_to_save.linear.bias',
    'full',
    ['multi_modal_projector.bias', 'multi_modal_projector.linear.bias'],
  ],
  ['lm_head.lora_A.weight', 'lora_A', ['lm_head.weight']],
  ['base_model.model.lm_head.token_adapter.trainable_tokens_delta', 'tokens', ['lm_head.weight']],
])('%s', (name, part, parameters) => {
  expect(parseTensorName(name)).toEqual({ part, parameters });
});
