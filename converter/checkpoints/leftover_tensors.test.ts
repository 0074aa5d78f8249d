import { expect, test } from 'vitest';
import { leftoverTensors, type SeenTensor } from './leftover_tensors.ts';

const Q = 'model.language_model.layers.0.self_attn.q_proj.weight';
const seen = (shape: readonly number[]): SeenTensor => ({
  dtype: 'f32',
  shape,
  from: { file: '/m/model.safetensors', byteOffset: 80 },
});
const whole: readonly [string, SeenTensor][] = [
  ['model.vision_tower.embeddings.position_ids', seen([0])],
  ['model.language_model.norm.weight', seen([8])],
];

test.each<[string, string, readonly number[], string, RegExp]>([
  ['ZeRO-3', Q, [0], 'empty_weights', /"model\.language.*" has shape \[0\], .*DeepSpeed ZeRO-3/],
  ['ZeRO-3 that kept the rank', Q, [0, 8], 'empty_weights', /shape \[0, 8\]/],
  ['an adapter under ZeRO-3', 'base_model.model.q_proj.lora_A.weight', [0], 'empty_weights', /ZeRO-3/],
  ['a bias', 'multi_modal_projector.linear.bias', [0], 'empty_weights', /ZeRO-3/],
  ['FSDP 1', 'model._fsdp_wrapped_module._flat_param', [4096], 'training_state', /a row into which FSDP joined/],
  ['FSDP 1, by shards', '_fsdp_wrapped_module.flat_param_0', [4096], 'training_state', /FSDP/],
])('%s', (_, name, shape, code, message) => {
  const error = leftoverTensors(new Map([...whole, [name, seen(shape)]]), '/m');
  expect(error?.code).toBe(code);
  expect(error?.message).toMatch(message);
  expect(error?.place).toMatchObject({ file: '/m/model.safetensors', tensor: name, offset: 80 });
  expect(error?.place.hint).toMatch(/zero_to_fp32\.py \. out --safe_serialization|FULL_STATE_DICT/);
});

test('weights that are there, and empty buffers, are no leftover', () => {
  expect(leftoverTensors(new Map([...whole, [Q, seen([8, 8])]]), '/m')).toBeUndefined();
});
