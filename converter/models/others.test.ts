import { describe, expect, test } from 'vitest';
import { bytesData, type TensorData } from '../../ir/tensor.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { BadInputError } from '../errors.ts';
import { refuseOther } from './others.ts';

const data = (dtype: 'f32' | 'u8' | 'i32' = 'f32'): TensorData => ({
  ...bytesData(dtype, [4], new Uint8Array(dtype === 'u8' ? 4 : 16)),
  from: { file: '/m/a.safetensors', key: 'k', byteOffset: 8 },
});

function checkpoint(
  format: Checkpoint['format'],
  names: readonly string[],
  config?: unknown,
  dtype?: 'u8' | 'i32',
): Checkpoint {
  const tensors = new Map(names.map((name) => [name, data(name.endsWith('.weight') ? dtype : undefined)]));
  return {
    format,
    path: '/m',
    tensors,
    files: [],
    config,
    sidecars: new Map(),
    warnings: [],
    checkUnchanged: async () => {},
    close: async () => {},
  };
}

function refusal(subject: Checkpoint): BadInputError | undefined {
  try {
    refuseOther(subject);
    return undefined;
  } catch (error) {
    if (error instanceof BadInputError) return error;
    throw error;
  }
}

const PALIGEMMA = [
  'language_model.model.layers.0.self_attn.q_proj.weight',
  'language_model.model.embed_tokens.weight',
  'vision_tower.vision_model.embeddings.patch_embedding.weight',
  'multi_modal_projector.linear.weight',
];
const DECODER = ['model.embed_tokens.weight', 'model.layers.0.self_attn.q_proj.weight', 'model.norm.weight'];

describe('passes', () => {
  test.each<[string, Checkpoint]>([
    [
      'PaliGemma',
      checkpoint('huggingface', PALIGEMMA, { model_type: 'paligemma', text_config: { model_type: 'gemma' } }),
    ],
    ['PaliGemma without a config', checkpoint('huggingface', PALIGEMMA)],
    [
      'PaliGemma with a config that is odd',
      checkpoint('huggingface', PALIGEMMA, { model_type: 7, architectures: 'x', quantization_config: null }),
    ],
    [
      'PaliGemma whose quantization was undone',
      checkpoint('huggingface', PALIGEMMA, {
        model_type: 'paligemma',
        quantization_config: { quant_method: 'bitsandbytes' },
      }),
    ],
    ['integers that nothing explains', checkpoint('huggingface', PALIGEMMA, undefined, 'i32')],
    [
      'ColPali',
      checkpoint('huggingface', [...PALIGEMMA.map((name) => `vlm.${name}`), 'embedding_proj_layer.weight'], {
        model_type: 'colpali',
      }),
    ],
    [
      'π0',
      checkpoint(
        'huggingface',
        PALIGEMMA.map((name) => `model.paligemma_with_expert.paligemma.${name}`),
        { type: 'pi0' },
      ),
    ],
    [
      'LLaVA, which is nobody’s here',
      checkpoint(
        'huggingface',
        [
          ...DECODER.map((name) => `language_model.${name}`),
          'vision_tower.vision_model.embeddings.class_embedding',
          'multi_modal_projector.linear_1.weight',
        ],
        { model_type: 'llava' },
      ),
    ],
    ['anything else', checkpoint('huggingface', ['encoder.layer.0.weight'], { model_type: 'bert' })],
    ['an empty file', checkpoint('huggingface', [])],
    [
      'a tree of both towers',
      checkpoint('big_vision', ['params/img/embedding/kernel', 'params/llm/final_norm/scale', 'opt/0/count']),
    ],
    ['another tree', checkpoint('big_vision', ['params/encoder/kernel'])],
  ])('%s', (_, subject) => expect(refusal(subject)).toBeUndefined());
});

/** Tensors of a dtype that the IR lacks, in place of those with these names, or beside. */
const unreadable = (dtype: string, names: readonly string[]): NonNullable<Checkpoint['unreadable']> =>
  new Map(
    names.map((name) => [
      name,
      { dtype, shape: [4], byteLength: 32, from: { file: '/m/a.safetensors', byteOffset: 16 } },
    ]),
  );

describe('tensors that cannot be read', () => {
  const plain = checkpoint('huggingface', PALIGEMMA.slice(1));
  test.each<[string, Checkpoint, string | undefined]>([
    ['one that is converted', { ...plain, unreadable: unreadable('F64', [PALIGEMMA[0]!]) }, PALIGEMMA[0]],
    ['all', { ...checkpoint('huggingface', []), unreadable: unreadable('F64', PALIGEMMA) }, PALIGEMMA[0]],
    ['one that PaliGemma has not: the ledger’s', { ...plain, unreadable: unreadable('U16', ['x.table']) }, undefined],
    [
      'a buffer that nothing uses',
      { ...plain, unreadable: unreadable('F64', ['vision_tower.vision_model.embeddings.position_ids']) },
      undefined,
    ],
    [
      'the expert of a π0',
      {
        ...checkpoint(
          'huggingface',
          PALIGEMMA.map((name) => `model.paligemma_with_expert.paligemma.${name}`),
        ),
        unreadable: unreadable('F64', ['model.paligemma_with_expert.gemma_expert.model.norm.weight']),
      },
      undefined,
    ],
    [
      'those of a model that is nobody’s here',
      { ...checkpoint('huggingface', ['x']), unreadable: unreadable('F64', ['y']) },
      undefined,
    ],
  ])('%s', (_, subject, tensor) => {
    const error = refusal(subject);
    expect(error?.place.tensor).toBe(tensor);
    if (tensor === undefined) return expect(error).toBeUndefined();
    expect(error).toMatchObject({ code: 'unsupported_dtype', place: { file: '/m/a.safetensors', offset: 16 } });
  });
});

describe('refused by name', () => {
  test.each<[string, Checkpoint, string, RegExp, string | undefined, RegExp]>([
    [
      'ShieldGemma 2',
      checkpoint('huggingface', PALIGEMMA, { model_type: 'shieldgemma2' }),
      'unsupported_family',
      /^this is ShieldGemma 2, which is a Gemma 3, not a PaliGemma$/,
      undefined,
      /give a PaliGemma or a PaliGemma 2/,
    ],
    [
      'Gemma 3',
      checkpoint('huggingface', PALIGEMMA, { model_type: 'gemma3' }),
      'unsupported_family',
      /a Gemma 3 \(config\.json says model_type = "gemma3"\), not a PaliGemma/,
      undefined,
      /another image tower/,
    ],
    [
      'Gemma 3 without a config',
      checkpoint('huggingface', [...PALIGEMMA, 'model.multi_modal_projector.mm_input_projection_weight']),
      'unsupported_family',
      /a Gemma 3, not/,
      'model.multi_modal_projector.mm_input_projection_weight',
      /another decoder/,
    ],
    [
      'Gemma',
      checkpoint('huggingface', DECODER, { model_type: 'gemma' }),
      'unsupported_family',
      /^this is Gemma, a language model without an image tower$/,
      DECODER[1],
      /google\/paligemma-/,
    ],
    [
      'Gemma 2',
      checkpoint('huggingface', DECODER, { model_type: 'gemma2' }),
      'unsupported_family',
      /^this is Gemma 2, a language model/,
      DECODER[1],
      /paligemma2-/,
    ],
    [
      'Gemma 2 without a config',
      checkpoint('huggingface', [...DECODER, 'model.layers.0.pre_feedforward_layernorm.weight']),
      'unsupported_family',
      /^this is Gemma 2, a language model/,
      DECODER[1],
      /./,
    ],
    [
      'Llama',
      checkpoint('huggingface', DECODER, { model_type: 'llama' }),
      'unsupported_family',
      /^this is "llama", a language model without an image tower$/,
      DECODER[1],
      /./,
    ],
    [
      'a decoder of nobody',
      checkpoint('huggingface', DECODER),
      'unsupported_family',
      /^this is a language model without an image tower$/,
      DECODER[1],
      /./,
    ],
    [
      'PaliGemma’s decoder alone',
      checkpoint('huggingface', PALIGEMMA.slice(0, 2), { model_type: 'paligemma' }),
      'unsupported_family',
      /^this is a language model without/,
      PALIGEMMA[0],
      /./,
    ],
    [
      'bitsandbytes, 4 bit',
      checkpoint('huggingface', [
        ...PALIGEMMA,
        `${PALIGEMMA[0]}.absmax`,
        `${PALIGEMMA[0]}.quant_state.bitsandbytes__nf4`,
      ]),
      'quantized_checkpoint',
      /quantized with bitsandbytes/,
      `${PALIGEMMA[0]}.absmax`,
      /model\.dequantize\(\)/,
    ],
    [
      'bitsandbytes, 8 bit',
      checkpoint('huggingface', [...PALIGEMMA, PALIGEMMA[0]!.replace(/weight$/, 'SCB')]),
      'quantized_checkpoint',
      /bitsandbytes/,
      PALIGEMMA[0]!.replace(/weight$/, 'SCB'),
      /./,
    ],
    [
      'GPTQ',
      checkpoint('huggingface', [
        ...PALIGEMMA,
        'language_model.layers.0.mlp.up_proj.qzeros',
        'language_model.layers.0.mlp.up_proj.g_idx',
      ]),
      'quantized_checkpoint',
      /GPTQ/,
      'language_model.layers.0.mlp.up_proj.g_idx',
      /the checkpoint that it was made from/,
    ],
    [
      'AWQ',
      checkpoint('huggingface', [...PALIGEMMA, 'language_model.layers.0.mlp.up_proj.qzeros']),
      'quantized_checkpoint',
      /AWQ/,
      'language_model.layers.0.mlp.up_proj.qzeros',
      /./,
    ],
    [
      'packed, as the config names it',
      checkpoint('huggingface', PALIGEMMA, { quantization_config: { quant_method: 'hqq' } }, 'u8'),
      'quantized_checkpoint',
      /quantized with HQQ/,
      PALIGEMMA[0],
      /./,
    ],
    [
      'an adapter',
      checkpoint('huggingface', [
        'base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight',
        'base_model.model.lm_head.weight',
      ]),
      'adapter_only',
      /PEFT adapter/,
      undefined,
      /--adapter/,
    ],
    [
      'fp8, which the IR cannot read',
      {
        ...checkpoint('huggingface', PALIGEMMA.slice(1)),
        unreadable: unreadable('F8_E4M3', [PALIGEMMA[0]!]),
      },
      'quantized_checkpoint',
      /quantized with fp8$/,
      PALIGEMMA[0],
      /the checkpoint that it was made from/,
    ],
    [
      'weights that ZeRO-3 left empty',
      {
        ...checkpoint('huggingface', PALIGEMMA.slice(1)),
        tensors: new Map([[PALIGEMMA[0]!, { ...data(), shape: [0] }]]),
      },
      'empty_weights',
      /DeepSpeed ZeRO-3/,
      PALIGEMMA[0],
      /zero_to_fp32/,
    ],
    [
      'SpatialVLA',
      checkpoint('huggingface', [...PALIGEMMA, 'spatial_embed_tokens.weight'], { model_type: 'spatialvla' }),
      'unsupported_family',
      /model_type = "spatialvla"/,
      'spatial_embed_tokens.weight',
      /built on/,
    ],
    [
      'factors of JAX beside the weights, before anything else of the tree',
      checkpoint('big_vision', ['params/PaliGemma/img/embedding/kernel', 'params/PaliGemma/llm/q_einsum/lora_a']),
      'unmerged_adapter',
      /not merged/,
      'params/PaliGemma/llm/q_einsum/lora_a',
      /openpi/,
    ],
    [
      'an image tower',
      checkpoint('big_vision', ['params/img/embedding/kernel']),
      'missing_subtree',
      /image tower \(img\/\) and no language model \(llm\/\)$/,
      'img/embedding/kernel',
      /\/m:img \.\/other\.npz:llm/,
    ],
    [
      'SigLIP',
      checkpoint('big_vision', ['params/img/embedding/kernel', 'params/txt/head/kernel']),
      'missing_subtree',
      /: this is SigLIP$/,
      'img/embedding/kernel',
      /:llm/,
    ],
    [
      'Gemma under llm/',
      checkpoint('big_vision', ['llm/embedder/input_embedding']),
      'missing_subtree',
      /no image tower \(img\/\): this is Gemma, or half of a PaliGemma/,
      'llm/embedder/input_embedding',
      /\/m:llm \.\/other\.npz:img/,
    ],
    [
      'Gemma of big_vision',
      checkpoint('big_vision', ['params/embedder/input_embedding']),
      'unsupported_family',
      /this is Gemma/,
      'embedder/input_embedding',
      /img\/ and llm\//,
    ],
    [
      'Gemma’s own dump',
      checkpoint('big_vision', ['transformer/embedder/input_embedding', 'transformer/layer_0/mlp/linear/w']),
      'unsupported_family',
      /this is Gemma/,
      'transformer/embedder/input_embedding',
      /./,
    ],
    [
      'a tree further down',
      checkpoint('big_vision', ['params/PaliGemma/img/embedding/kernel', 'params/PaliGemma/llm/x']),
      'nested_tree',
      /lies under "PaliGemma\/"/,
      'PaliGemma/img/embedding/kernel',
      /select it: \/m:PaliGemma/,
    ],
  ])('%s', (_, subject, code, message, tensor, hint) => {
    const error = refusal(subject);
    expect(error?.code).toBe(code);
    expect(error?.message).toMatch(message);
    expect(error?.place.tensor).toBe(tensor);
    expect(error?.place.hint).toMatch(hint);
    expect(error?.place.file).toMatch(/^\/m/);
  });
});
