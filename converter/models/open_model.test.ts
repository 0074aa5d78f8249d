import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeBigVisionVariant } from '../../fixtures/variants/big_vision.ts';
import { HUGGING_FACE, writeHuggingFaceVariant } from '../../fixtures/variants/hugging_face.ts';
import { readBytes, tensorData, tensorOf, type TensorData } from '../../ir/tensor.ts';
import { rawSafetensors, type RawTensor } from '../checkpoints/testing/raw_safetensors.ts';
import { tempFolder } from '../checkpoints/testing/temp_folder.ts';
import { openModel } from './open_model.ts';
import { readCheckpoint } from './paligemma.ts';

/* What convert, inspect, verify and quality open: the same door for all. */

const HF = 'fixtures/pg1-tiny/hf';
const openOnce = async (checkpoint: string): Promise<void> => (await openModel({ checkpoint })).close();

describe('the same model in another form', () => {
  test.each(
    HUGGING_FACE.filter(({ name }) => /MLX|FAST/.test(name)).map((variant) => [variant.name, variant] as const),
  )('%s', async (_, variant) => {
    const opened = await openModel({ checkpoint: await writeHuggingFaceVariant(variant, HF, tempFolder()) });
    const original = await openModel({ checkpoint: HF });
    const weights = readCheckpoint(opened.checkpoint).weights;
    const others = readCheckpoint(original.checkpoint).weights;
    expect([...weights.keys()].filter((name) => name !== 'lm.head')).toEqual([...others.keys()]);
    for (const name of ['vit.patch.w', 'vit.0.q.w', 'lm.embed', 'lm.1.down', 'lm.norm'])
      expect(await readBytes(weights.get(name)!)).toEqual(await readBytes(others.get(name)!));
    expect(opened.model.program.metadata).toEqual(original.model.program.metadata);
    await opened.close();
    await original.close();
  });
});

test('a mask decoder that is not there is not looked for where the checkpoint is', async () => {
  await expect(openModel({ checkpoint: HF, maskDecoder: 'no/decoder.npz' })).rejects.toMatchObject({
    code: 'not_found',
    place: { file: resolve('no/decoder.npz'), hint: expect.stringContaining('--mask-decoder') as string },
  });
});

const Q = 'language_model.model.layers.0.self_attn.q_proj';
const REST: Readonly<Record<string, RawTensor>> = {
  'language_model.model.embed_tokens.weight': ['F16', [8, 8]],
  'vision_tower.vision_model.embeddings.patch_embedding.weight': ['F16', [4, 2, 2, 3]],
  'multi_modal_projector.linear.weight': ['F16', [8, 4]],
};

describe('refused by name, from its files', () => {
  test.each<[string, Readonly<Record<string, RawTensor>>, object, string, RegExp]>([
    [
      'MLX, 4 bits',
      { [`${Q}.weight`]: ['U32', [8, 1]], [`${Q}.scales`]: ['F16', [8, 1]], [`${Q}.biases`]: ['F16', [8, 1]] },
      { quantization: { group_size: 64, bits: 4 } },
      'quantized_checkpoint',
      /quantized with MLX \(4 bits\)$/,
    ],
    [
      'fp8',
      { [`${Q}.weight`]: ['F8_E4M3', [8, 8]], [`${Q}.weight_scale_inv`]: ['F32', [1, 1]] },
      { quantization_config: { quant_method: 'fp8' } },
      'quantized_checkpoint',
      /quantized with fp8$/,
    ],
    [
      'HQQ',
      { [`${Q}.W_q`]: ['U8', [4, 8]], [`${Q}.scale`]: ['F16', [8, 1]], [`${Q}.zero`]: ['F16', [8, 1]] },
      { quantization_config: { quant_method: 'hqq' } },
      'quantized_checkpoint',
      /quantized with HQQ$/,
    ],
    ['quanto', { [`${Q}.weight._data`]: ['I8', [8, 8]] }, {}, 'quantized_checkpoint', /quantized with quanto$/],
    ['F64', { [`${Q}.weight`]: ['F64', [8, 8]] }, {}, 'unsupported_dtype', /q_proj\.weight" is F64: weights must be/],
    ['ZeRO-3', { [`${Q}.weight`]: ['F16', [0]] }, {}, 'empty_weights', /DeepSpeed ZeRO-3/],
    [
      'SpatialVLA',
      { [`${Q}.weight`]: ['F16', [8, 8]], 'spatial_embed_tokens.weight': ['F32', [4, 8]] },
      { model_type: 'spatialvla' },
      'unsupported_family',
      /model_type = "spatialvla", and a tensor is none of PaliGemma’s/,
    ],
    [
      'another model around a PaliGemma’s config',
      { [`${Q}.weight`]: ['F16', [8, 8]], 'action_head.weight': ['F32', [4, 8]] },
      { model_type: 'my_vla', vlm_config: { model_type: 'paligemma' } },
      'unsupported_family',
      /model_type = "my_vla"/,
    ],
    [
      'LoRA of MLX beside the weights',
      { [`${Q}.linear.weight`]: ['F16', [8, 8]], [`${Q}.lora_a`]: ['F16', [8, 2]], [`${Q}.lora_b`]: ['F16', [2, 8]] },
      {},
      'unmerged_adapter',
      /q_proj\.lora_a" belongs to an adapter/,
    ],
  ])('%s', async (_, tensors, config, code, message) => {
    const folder = tempFolder({ 'model.safetensors': rawSafetensors({ ...REST, ...tensors }) });
    await writeFile(join(folder, 'config.json'), JSON.stringify({ model_type: 'paligemma', ...config }));
    await expect(openOnce(folder)).rejects.toMatchObject({
      code,
      message: expect.stringMatching(message) as unknown,
      place: { file: join(folder, 'model.safetensors') },
    });
  });

  const some = (shape: readonly number[]): TensorData =>
    tensorData(tensorOf('f32', shape, new Float32Array(shape.reduce((n, d) => n * d, 1))));
  test.each<[string, readonly string[], string | undefined]>([
    [
      'attention',
      ['llm/layers/attn/q_einsum/lora_a', 'llm/layers/attn/q_einsum/lora_b'],
      'llm/layers/attn/q_einsum/lora_a',
    ],
    ['the MLP', ['llm/layers/mlp/gating_einsum_lora_a'], 'llm/layers/mlp/gating_einsum_lora_a'],
    [
      'with an action expert beside',
      ['llm/layers/attn/q_einsum_1/lora_a', 'llm/layers/attn/q_einsum_1/w', 'llm/layers/mlp/linear_lora_b'],
      'llm/layers/mlp/linear_lora_b',
    ],
    ['in a tree of its own', ['lora/llm/layers/attn/q_einsum/lora_a'], 'lora/llm/layers/attn/q_einsum/lora_a'],
  ])('LoRA of JAX in an .npz: %s', async (_, names, tensor) => {
    const folder = tempFolder();
    const files = (tensors: ReadonlyMap<string, TensorData>) => ({
      'lora.npz': new Map([...tensors, ...names.map((name) => [name, some([3, 4, 2])] as const)]),
    });
    await writeBigVisionVariant({ name: 'x', files }, 'fixtures/pg1-tiny/bv_f32.npz', folder);
    for (const path of [folder, join(folder, 'lora.npz')])
      await expect(openOnce(path)).rejects.toMatchObject({
        code: 'unmerged_adapter',
        place: { file: join(folder, 'lora.npz'), tensor, hint: expect.stringContaining('openpi') as unknown },
      });
  });
});
