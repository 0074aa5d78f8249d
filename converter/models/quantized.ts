import { z } from 'zod';
import type { Appearance, Recognition } from './recognition.ts';

/** A method by which weights are packed: how tensors show it, and what unpacks them where something does. */
interface Method {
  readonly name: string;
  /** As `quant_method` of config.json spells it. */
  readonly stated?: readonly string[];
  /** Names of tensors that it leaves beside or in place of a weight, or dtypes that no weight has otherwise. */
  readonly sign?: (tensor: string, dtype: string, has: (tensor: string) => boolean) => boolean;
  /** Said after "give the checkpoint that it was made from". */
  readonly unpack?: (folder: string) => string;
}

const named =
  (pattern: RegExp): NonNullable<Method['sign']> =>
  (tensor) =>
    pattern.test(tensor);
const DEQUANTIZE = 'unpack it in Python with model.dequantize(), then model.save_pretrained(out)';
const IN_FP8 =
  'unpack it in Python: from_pretrained(folder, quantization_config=FineGrainedFP8Config(dequantize=True)).save_pretrained(out)';

/** The first whose sign a tensor has tells; of two with the same names the config tells. */
const METHODS: readonly Method[] = [
  {
    name: 'bitsandbytes',
    stated: ['bitsandbytes', 'bitsandbytes_4bit', 'bitsandbytes_8bit'],
    sign: named(
      /\.(?:absmax|nested_absmax|quant_map|nested_quant_map|SCB|weight_format)$|\.quant_state\.bitsandbytes__\w+$/,
    ),
    unpack: () => DEQUANTIZE,
  },
  { name: 'GPTQ', stated: ['gptq'], sign: named(/\.g_idx$/) },
  { name: 'AWQ', stated: ['awq'], sign: named(/\.qzeros$/) },
  {
    name: 'MLX',
    stated: ['mlx'],
    sign: (tensor, dtype, has) =>
      tensor.endsWith('.biases') ||
      (dtype === 'U32' && tensor.endsWith('.weight') && has(tensor.replace(/weight$/, 'scales'))),
    unpack: (folder) =>
      `unpack it with python -m mlx_vlm.convert --hf-path ${folder} --mlx-path out --dequantize, and give out`,
  },
  { name: 'HQQ', stated: ['hqq'], sign: named(/\.W_q$/) },
  { name: 'quanto', stated: ['quanto'], sign: named(/\._(?:data|shift)$/) },
  { name: 'torchao', stated: ['torchao'], sign: named(/\._weight_(?:qdata|scale|zero_point|scale_and_zero)$/) },
  {
    name: 'fp8',
    stated: ['fp8'],
    sign: (tensor, dtype) => dtype.startsWith('F8_') || tensor.endsWith('.weight_scale_inv'),
    unpack: () => IN_FP8,
  },
  { name: 'FBGEMM’s fp8', stated: ['fbgemm_fp8'], sign: named(/\.input_scale_ub$/) },
  { name: 'ModelOpt', stated: ['modelopt'], sign: named(/\.weight_scale_2$/) },
  {
    name: 'compressed-tensors',
    stated: ['compressed-tensors'],
    sign: named(/\.weight_(?:packed|scale|zero_point|shape)$/),
  },
  { name: 'EETQ', stated: ['eetq'], sign: named(/\.weight_scales$/) },
  { name: 'AQLM', stated: ['aqlm'], sign: named(/\.(?:codes|codebooks)$/) },
  { name: 'VPTQ', stated: ['vptq'], sign: named(/\.(?:centroids|res_centroids)\.weight$/) },
  { name: 'MXFP4', stated: ['mxfp4'], sign: named(/_blocks$/) },
  { name: '4-bit floats', sign: (_, dtype) => dtype === 'F4' || dtype.startsWith('F6_') },
  { name: 'AutoRound', stated: ['auto-round', 'intel/auto-round'] },
  { name: 'HIGGS', stated: ['higgs'] },
  { name: 'SpQR', stated: ['spqr'] },
  { name: 'BitNet', stated: ['bitnet'] },
  { name: 'Quark', stated: ['quark'] },
  { name: 'FP-Quant', stated: ['fp_quant'] },
];

const INTEGERS = new Set(['i8', 'u8', 'i32', 'I16', 'U16', 'U32', 'U64']);

/** transformers has `quantization_config`, compressed-tensors at first `compression_config`, MLX `quantization`. */
const stated = z
  .looseObject({
    quant_method: z.string().optional().catch(undefined),
    bits: z.number().optional().catch(undefined),
  })
  .optional()
  .catch(undefined);
const schema = z.looseObject({ quantization_config: stated, compression_config: stated, quantization: stated });

/**
 * By which method the weights are quantized. Weights decide: a config may still speak of a quantization that was
 * undone. Integers that no config explains are the family's to refuse.
 * @param folder of the checkpoint, for commands
 */
export function recognizeQuantized({ tensors, config, metadata }: Appearance, folder: string): Recognition | undefined {
  const { quantization_config, compression_config, quantization } = schema.safeParse(config).data ?? {};
  const claim = quantization_config ?? compression_config ?? quantization;
  const isMlx = quantization !== undefined || metadata.get('format') === 'mlx';
  const claimed = claim?.quant_method ?? (isMlx ? 'mlx' : undefined);
  const has = (tensor: string) => tensors.has(tensor);
  for (const method of METHODS)
    for (const [tensor, { dtype }] of tensors)
      if (method.sign?.(tensor, dtype, has))
        return recognition(method.name === 'MLX' ? method : (methodOf(claimed) ?? method), tensor, claim?.bits, folder);
  if (claimed === undefined) return undefined;
  const packed = [...tensors].find(([name, { dtype }]) => name.endsWith('weight') && INTEGERS.has(dtype))?.[0];
  const tensor = packed ?? withoutWeight(tensors.keys());
  return tensor === undefined
    ? undefined
    : recognition(methodOf(claimed) ?? { name: claimed }, tensor, claim?.bits, folder);
}

function methodOf(claimed: string | undefined): Method | undefined {
  return claimed === undefined
    ? undefined
    : METHODS.find(({ stated: spellings = [] }) => spellings.includes(claimed.toLowerCase()));
}

/** A tensor of a matrix of the decoder that has parts, but no weight. */
function withoutWeight(names: Iterable<string>): string | undefined {
  const all = new Set(names);
  const MATRIX = /^(.*\.layers\.\d+\.(?:self_attn|mlp)\.\w+_proj)\.(?:base_layer\.)?[^.]+/;
  for (const name of all) {
    const module = MATRIX.exec(name)?.[1];
    if (module !== undefined && !all.has(`${module}.weight`) && !all.has(`${module}.base_layer.weight`)) return name;
  }
  return undefined;
}

function recognition({ name, unpack }: Method, tensor: string, bits: number | undefined, folder: string): Recognition {
  const way = unpack === undefined ? '' : `; or ${unpack(folder)}, which keeps its rounding errors`;
  return {
    code: 'quantized_checkpoint',
    message: `the weights are quantized with ${name}${bits === undefined ? '' : ` (${bits} bits)`}`,
    tensor,
    hint: `give the checkpoint that it was made from${way}`,
  };
}
