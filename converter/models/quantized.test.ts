import { describe, expect, test } from 'vitest';
import type { SeenTensor } from '../checkpoints/leftover_tensors.ts';
import { recognizeQuantized } from './quantized.ts';

const MODULE = 'language_model.model.layers.0.mlp.down_proj';
const FLOATS = ['language_model.model.norm.weight', 'multi_modal_projector.linear.bias'];

/** A checkpoint whose one matrix is stored as these, by the end of the name. */
function recognize(
  parts: Readonly<Record<string, string>>,
  config?: unknown,
  metadata: Readonly<Record<string, string>> = {},
) {
  const tensors = new Map<string, SeenTensor>([
    ...FLOATS.map((name) => [name, { dtype: 'bf16', shape: [8] }] as const),
    ...Object.entries(parts).map(([end, dtype]) => [MODULE + end, { dtype, shape: [8, 8] }] as const),
  ]);
  return recognizeQuantized({ tensors, config, metadata: new Map(Object.entries(metadata)) }, '/m');
}
const by = (method: string, more: object = {}) => ({ quantization_config: { quant_method: method, ...more } });

describe('by its tensors, with and without a config', () => {
  test.each<[string, Readonly<Record<string, string>>, unknown, string, string]>([
    [
      'MLX',
      { '.weight': 'U32', '.scales': 'f16', '.biases': 'f16' },
      { quantization: { group_size: 64, bits: 4 } },
      '.weight',
      'MLX (4 bits)',
    ],
    ['MLX without a config', { '.weight': 'U32', '.scales': 'bf16', '.biases': 'bf16' }, undefined, '.weight', 'MLX'],
    [
      'MLX in mxfp4',
      { '.weight': 'U32', '.scales': 'u8' },
      { quantization: { bits: 4, mode: 'mxfp4' } },
      '.weight',
      'MLX (4 bits)',
    ],
    [
      'MLX of a QLoRA, whose config speaks of another',
      { '.weight': 'U32', '.scales': 'f16', '.biases': 'f16' },
      by('bitsandbytes'),
      '.weight',
      'MLX',
    ],
    ['fp8', { '.weight': 'F8_E4M3', '.weight_scale_inv': 'f32' }, by('fp8'), '.weight', 'fp8'],
    ['fp8 without scales', { '.weight': 'F8_E5M2' }, undefined, '.weight', 'fp8'],
    [
      'fp8 of FBGEMM',
      { '.weight': 'F8_E4M3', '.weight_scale': 'f32', '.input_scale_ub': 'f32' },
      by('fbgemm_fp8'),
      '.weight',
      'FBGEMM’s fp8',
    ],
    [
      'fp8 of compressed-tensors',
      { '.weight': 'F8_E4M3', '.weight_scale': 'f32' },
      by('compressed-tensors'),
      '.weight',
      'compressed-tensors',
    ],
    [
      'fp4 of ModelOpt',
      { '.weight': 'u8', '.weight_scale': 'F8_E4M3', '.weight_scale_2': 'f32' },
      by('modelopt'),
      '.weight_scale',
      'ModelOpt',
    ],
    [
      'compressed-tensors',
      { '.weight_packed': 'i32', '.weight_scale': 'bf16', '.weight_shape': 'i64' },
      undefined,
      '.weight_packed',
      'compressed-tensors',
    ],
    [
      'compressed-tensors of old',
      { '.weight': 'i8', '.weight_scale': 'bf16' },
      { compression_config: { quant_method: 'compressed-tensors' } },
      '.weight_scale',
      'compressed-tensors',
    ],
    ['HQQ', { '.W_q': 'u8', '.scale': 'f16', '.zero': 'f16' }, by('hqq'), '.W_q', 'HQQ'],
    ['HQQ without a config', { '.W_q': 'u8', '.scale': 'f16', '.zero': 'f16' }, undefined, '.W_q', 'HQQ'],
    ['quanto', { '.weight._data': 'i8', '.weight._scale': 'f32' }, undefined, '.weight._data', 'quanto'],
    [
      'quanto, 4 bits',
      { '.weight._data': 'u8', '.weight._scale': 'f32', '.weight._shift': 'f32' },
      by('quanto'),
      '.weight._data',
      'quanto',
    ],
    ['torchao', { '._weight_qdata': 'i8', '._weight_scale': 'f32' }, by('torchao'), '._weight_qdata', 'torchao'],
    [
      'torchao without a config',
      { '._weight_qdata': 'F8_E4M3', '._weight_scale': 'f32' },
      undefined,
      '._weight_qdata',
      'torchao',
    ],
    [
      'GPTQ',
      { '.qweight': 'i32', '.qzeros': 'i32', '.scales': 'f16', '.g_idx': 'i32' },
      by('gptq', { bits: 4 }),
      '.g_idx',
      'GPTQ (4 bits)',
    ],
    ['AWQ', { '.qweight': 'i32', '.qzeros': 'i32', '.scales': 'f16' }, undefined, '.qzeros', 'AWQ'],
    [
      'AutoRound under GPTQ’s names',
      { '.qweight': 'i32', '.qzeros': 'i32', '.g_idx': 'i32' },
      by('intel/auto-round', { bits: 2 }),
      '.g_idx',
      'AutoRound (2 bits)',
    ],
    [
      'bitsandbytes',
      { '.weight': 'u8', '.weight.absmax': 'f32', '.weight.quant_state.bitsandbytes__nf4': 'u8' },
      undefined,
      '.weight.absmax',
      'bitsandbytes',
    ],
    ['EETQ', { '.weight': 'i8', '.weight_scales': 'f16' }, by('eetq'), '.weight_scales', 'EETQ'],
    ['AQLM', { '.codes': 'i8', '.codebooks': 'f16', '.scales': 'f16' }, undefined, '.codes', 'AQLM'],
    ['MXFP4', { _blocks: 'u8', _scales: 'u8' }, by('mxfp4'), '_blocks', 'MXFP4'],
    ['4-bit floats', { '.weight': 'F4' }, undefined, '.weight', '4-bit floats'],
    [
      'packed weights of a method by config alone',
      { '.weight': 'u8', '.weight_scale_x': 'f32' },
      by('bitnet'),
      '.weight',
      'BitNet',
    ],
    ['a method that nobody knows', { '.lut': 'f16', '.indices': 'i32' }, by('new_method'), '.lut', 'new_method'],
  ])('%s', (_, parts, config, end, method) => {
    expect(recognize(parts, config)).toMatchObject({
      code: 'quantized_checkpoint',
      message: `the weights are quantized with ${method}`,
      tensor: MODULE + end,
      hint: expect.stringMatching(/^give the checkpoint that it was made from/) as unknown,
    });
  });

  test.each([
    [
      { '.weight': 'U32', '.scales': 'f16', '.biases': 'f16' },
      /mlx_vlm\.convert --hf-path \/m --mlx-path out --dequantize/,
    ],
    [{ '.weight': 'F8_E4M3' }, /FineGrainedFP8Config\(dequantize=True\)/],
    [{ '.SCB': 'f32' }, /model\.dequantize\(\)/],
  ] as const)('what unpacks it: %o', (parts, hint) => expect(recognize(parts)?.hint).toMatch(hint));
});

test('by what the file says of itself', () => {
  expect(recognize({ '.weight': 'u8' }, undefined, { format: 'mlx' })?.message).toMatch(/with MLX$/);
  expect(recognize({ '.weight': 'f16' }, undefined, { format: 'mlx' })).toBeUndefined();
});

describe('not quantized', () => {
  test.each<[string, Readonly<Record<string, string>>, unknown]>([
    ['floats', { '.weight': 'bf16' }, undefined],
    ['floats whose quantization was undone', { '.weight': 'f16' }, by('bitsandbytes')],
    ['floats of MLX', { '.weight': 'f16' }, { model_type: 'paligemma' }],
    ['what PEFT wraps', { '.base_layer.weight': 'f16', '.lora_A.default.weight': 'f16' }, by('gptq')],
    ['integers that nothing explains', { '.weight': 'i32' }, undefined],
    ['a config of other types', { '.weight': 'f16' }, { quantization_config: 7, quantization: null }],
  ])('%s', (_, parts, config) => expect(recognize(parts, config)).toBeUndefined());
});
