import { describe, expect, test } from 'vitest';
import type { SeenTensor } from '../checkpoints/leftover_tensors.ts';
import { isFactor, recognizeAdapter, recognizeUnmergedArrays } from './unmerged.ts';

const named = (...names: readonly string[]) => ({
  tensors: new Map<string, SeenTensor>(names.map((name) => [name, { dtype: 'f32', shape: [4] }])),
});
const MODEL = ['params/img/embedding/kernel', 'params/llm/layers/attn/q_einsum/w'];

describe('arrays of JAX', () => {
  test.each([
    'params/llm/layers/attn/q_einsum/lora_a',
    'params/llm/layers/attn/attn_vec_einsum/lora_b',
    'params/llm/layers/mlp/gating_einsum_lora_a',
    'params/llm/layers/mlp/linear_lora_b',
    'lora/llm/layers/attn/q_einsum/lora_a',
    'params/PaliGemma/llm/layers/attn/kv_einsum/lora_a',
    'params/llm/layer_1/attn/q_einsum/lora_a',
    'params/img/Transformer/encoderblock_1/MlpBlock_0/Dense_1/lora_kernel_a',
    'params/llm/layers/attn/q_einsum/lora/a',
    'params/llm/layers/attn/q_einsum/w_lora_b',
    'llm/layers/attn/lora_a/value',
  ])('%s', (name) =>
    expect(recognizeUnmergedArrays(named(...MODEL, name))).toMatchObject({
      code: 'unmerged_adapter',
      tensor: name,
      message: expect.stringContaining('was not merged into the weights beside it') as unknown,
      hint: expect.stringMatching(/openpi: .*numpy|numpy\.savez.*openpi/) as unknown,
    }),
  );

  test('with an action expert beside, the PaliGemma’s is what is named', () => {
    const expert = ['params/llm/layers/attn/q_einsum_1/lora_a', 'params/llm/layers/mlp_1/gating_einsum_lora_a'];
    expect(recognizeUnmergedArrays(named(...MODEL, ...expert))).toBeUndefined();
    const own = 'params/llm/layers/mlp/gating_einsum_lora_a';
    expect(recognizeUnmergedArrays(named(...MODEL, ...expert, own))?.tensor).toBe(own);
  });

  test('factors alone are an adapter; a model has none', () => {
    const alone = named('llm/layers/attn/q_einsum/lora_a', 'llm/layers/attn/q_einsum/lora_b');
    expect(recognizeUnmergedArrays(alone)?.code).toBe('adapter_only');
    expect(recognizeUnmergedArrays(named(...MODEL, 'params/llm/color_a', 'params/flora_a/w'))).toBeUndefined();
  });
});

test.each([
  ['model.layers.0.q_proj.lora_A.default.weight', true],
  ['model.layers.0.q_proj.lora_a', true],
  ['model.layers.0.q_proj.lora_b.weight', true],
  ['model.layers.0.q_proj.lora_down.weight', true],
  ['model.layers.0.q_proj.lora_magnitude_vector', true],
  ['embed_tokens.lora_embedding_A.default', true],
  ['lm_head.modules_to_save.default.weight', true],
  ['model.layers.0.q_proj.hada_w1_a.default', true],
  ['model.layers.0.q_proj.lokr_w2.default', true],
  ['model.layers.0.mlp.down_proj.ia3_l.default', true],
  ['model.layers.0.q_proj.weight', false],
  ['model.lora_Alpha.weight', false],
  ['base_model.model.q_proj.base_layer.weight', false],
])('%s is a factor: %s', (name, is) => expect(isFactor(name)).toBe(is));

test('a file of factors alone is an adapter, of PEFT and of MLX', () => {
  const Q = 'language_model.model.layers.0.self_attn.q_proj';
  expect(recognizeAdapter(named(`base_model.model.${Q}.lora_A.weight`, 'base_model.model.lm_head.weight'))?.code).toBe(
    'adapter_only',
  );
  expect(recognizeAdapter(named(`${Q}.lora_a`, `${Q}.lora_b`))?.code).toBe('adapter_only');
  expect(
    recognizeAdapter(named(`base_model.model.${Q}.base_layer.weight`, `base_model.model.${Q}.lora_A.weight`)),
  ).toBeUndefined();
  expect(recognizeAdapter(named(`${Q}.weight`))).toBeUndefined();
});
