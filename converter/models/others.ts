import { z } from 'zod';
import type { DType } from '../../ir/dtypes/index.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { modelArrays } from '../checkpoints/tree_root.ts';
import { BadInputError, type ErrorPlace } from '../errors.ts';
import { normalizeName } from './paligemma/hugging_face_names.ts';

/** What config.json says of the kind of model; whatever else it holds, and fields of other types, say nothing. */
const kindSchema = z.looseObject({
  model_type: z.string().optional().catch(undefined),
  quantization_config: z
    .looseObject({ quant_method: z.string().optional().catch(undefined) })
    .nullish()
    .catch(undefined),
});
type Kind = z.infer<typeof kindSchema>;

/**
 * Refuses by name the checkpoints that are taken for a PaliGemma, or that would be one if they had not been cut or
 * packed; returns for all others, PaliGemma and its relatives among them.
 * @throws BadInputError that says what to do instead
 */
export function refuseOther(checkpoint: Checkpoint): void {
  if (checkpoint.format === 'big_vision') refuseHalfTree(checkpoint);
  else refuseHuggingFace(checkpoint);
}

function refuseHuggingFace({ path, tensors, config }: Checkpoint): void {
  if (tensors.size === 0) return;
  const kind: Kind = kindSchema.safeParse(config).data ?? {};
  const names = new Map([...tensors.keys()].map((name) => [normalizeName(name), name]));
  refuseAdapter(tensors, path);
  refuseGemma3(kind, names, path);
  refuseQuantized(tensors, kind, path);
  refuseGemma(kind, names, path);
}

function refuse(code: string, message: string, place: ErrorPlace): never {
  throw new BadInputError(code, message, place);
}

const FACTORS = /\.lora_(?:A|B|embedding_A|embedding_B|magnitude_vector)\b/;

/** An adapter_model.safetensors that is given as a file. */
function refuseAdapter(tensors: Checkpoint['tensors'], file: string): void {
  const isAdapter =
    [...tensors.keys()].every((name) => FACTORS.test(name) || name.startsWith('base_model.model.')) &&
    [...tensors.keys()].some((name) => FACTORS.test(name));
  const hasBase = [...tensors.keys()].some((name) => name.includes('.base_layer.'));
  if (isAdapter && !hasBase)
    refuse('adapter_only', 'this is a PEFT adapter, not a model', {
      file,
      hint: 'give the base model as the checkpoint, and the adapter’s folder with --adapter',
    });
}

/** Gemma 3 has a projector of its own: a norm and a matrix without a module between (transformers' modeling_gemma3). */
const GEMMA_3 = /^multi_modal_projector\.mm_(?:input_projection_weight|soft_emb_norm)/;

function refuseGemma3({ model_type: type = '' }: Kind, names: ReadonlyMap<string, string>, file: string): void {
  const [, marker] = [...names].find(([name]) => GEMMA_3.test(name)) ?? [];
  const named = /^(?:shieldgemma2|gemma3n?)(?:_|$)/.test(type);
  if (!named && marker === undefined) return;
  const what =
    type === 'shieldgemma2'
      ? 'this is ShieldGemma 2, which is a Gemma 3, not a PaliGemma'
      : `this is ${named ? `a Gemma 3 (config.json says model_type = "${type}")` : 'a Gemma 3'}, not a PaliGemma`;
  refuse('unsupported_family', what, {
    file,
    ...(marker !== undefined && { tensor: marker }),
    hint: 'give a PaliGemma or a PaliGemma 2; Gemma 3 has another image tower and another decoder',
  });
}

/** Tensors that a method of quantization leaves beside or in place of a weight. The first that fits tells. */
const PACKED: readonly { readonly method: string; readonly name: RegExp }[] = [
  {
    method: 'bitsandbytes',
    name: /\.(?:absmax|nested_absmax|quant_map|nested_quant_map|SCB|weight_format)$|\.quant_state\.bitsandbytes__\w+$/,
  },
  { method: 'GPTQ', name: /\.g_idx$/ },
  { method: 'AWQ', name: /\.qzeros$/ },
  { method: 'compressed-tensors', name: /\.weight_(?:packed|scale|zero_point|shape)$/ },
];
const INTEGERS: readonly DType[] = ['i8', 'u8', 'i32'];
const METHODS: ReadonlyMap<string, string> = new Map([
  ['bitsandbytes', 'bitsandbytes'],
  ['gptq', 'GPTQ'],
  ['awq', 'AWQ'],
]);

/**
 * Weights decide: a config may still speak of a quantization that was undone. Integers that no config explains are the
 * family's to refuse.
 */
function refuseQuantized(tensors: Checkpoint['tensors'], { quantization_config: stated }: Kind, file: string): void {
  const claimed = stated?.quant_method;
  const known = PACKED.find(({ name }) => [...tensors.keys()].some((tensor) => name.test(tensor)));
  const isPacked = (tensor: string, dtype: DType) =>
    known ? known.name.test(tensor) : claimed !== undefined && tensor.endsWith('weight') && INTEGERS.includes(dtype);
  const [tensor, data] = [...tensors].find(([name, { dtype }]) => isPacked(name, dtype)) ?? [];
  if (tensor === undefined) return;
  refuse(
    'quantized_checkpoint',
    `the weights are quantized with ${claimed === undefined ? known!.method : (METHODS.get(claimed) ?? claimed)}`,
    {
      file: data?.from?.file ?? file,
      tensor,
      ...(data?.from && { offset: data.from.byteOffset }),
      hint: 'give the checkpoint that it was made from; or unpack it in Python with model.dequantize(), then model.save_pretrained(out), which keeps its rounding errors',
    },
  );
}

const LANGUAGE_MODELS: ReadonlyMap<string, string> = new Map([
  ['gemma', 'Gemma'],
  ['gemma2', 'Gemma 2'],
  ['gemma3_text', 'Gemma 3'],
  ['recurrent_gemma', 'RecurrentGemma'],
  ['shieldgemma', 'ShieldGemma'],
]);

/** A decoder without an image tower: `model.layers.0…`, or PaliGemma's own taken apart. */
function refuseGemma({ model_type: type }: Kind, names: ReadonlyMap<string, string>, file: string): void {
  const all = [...names.keys()];
  if (all.some((name) => /^(?:vision_tower|vision_model|multi_modal_projector|visual|vision)\b/.test(name))) return;
  const layer = all.find((name) => /^(?:language_model\.)?layers\.\d+\.self_attn\.q_proj\.weight$/.test(name));
  if (layer === undefined) return;
  const isGemma2 = all.some((name) => name.endsWith('.pre_feedforward_layernorm.weight'));
  const named =
    type === undefined || type === 'paligemma'
      ? isGemma2
        ? 'Gemma 2'
        : undefined
      : (LANGUAGE_MODELS.get(type) ?? `"${type}"`);
  refuse(
    'unsupported_family',
    `this is ${named === undefined ? 'a language model' : `${named}, a language model`} without an image tower`,
    {
      file,
      tensor: names.get(layer)!,
      hint: 'give a PaliGemma or a PaliGemma 2 (google/paligemma-…, google/paligemma2-…), which is this kind of decoder with an image tower',
    },
  );
}

/** A tree of one tower, or Gemma's own dump: what is missing, and how files are joined. */
function refuseHalfTree({ path, tensors }: Checkpoint): void {
  const { arrays } = modelArrays(tensors);
  const names = [...arrays.keys()];
  const under = (prefix: string) => names.find((name) => name.startsWith(prefix));
  const [img, llm] = [under('img/'), under('llm/')];
  if (img !== undefined && llm !== undefined) return;
  const join = (given: 'img' | 'llm', other: 'img' | 'llm') =>
    `give the file that has the other half, too, each with its selector: ${slashed(path)}:${given} ./other.npz:${other}`;
  if (img !== undefined) {
    const isSiglip = under('txt/') !== undefined;
    refuse(
      'missing_subtree',
      `there is an image tower (img/) and no language model (llm/)${isSiglip ? ': this is SigLIP' : ''}`,
      { file: path, tensor: img, hint: join('img', 'llm') },
    );
  }
  if (llm !== undefined)
    refuse(
      'missing_subtree',
      'there is a language model (llm/) and no image tower (img/): this is Gemma, or half of a PaliGemma',
      { file: path, tensor: llm, hint: join('llm', 'img') },
    );
  const deeper = names.find((name) => /^.+\/img\/embedding\/kernel$/.test(name));
  if (deeper !== undefined)
    refuse('nested_tree', `the model lies under "${deeper.slice(0, -'/img/embedding/kernel'.length)}/"`, {
      file: path,
      tensor: deeper,
      hint: `select it: ${slashed(path)}:${deeper.slice(0, -'/img/embedding/kernel'.length)}`,
    });
  const gemma = names.find((name) => /^(?:transformer\/)?embedder\/input_embedding$/.test(name));
  if (gemma !== undefined)
    refuse('unsupported_family', 'this is Gemma, a language model without an image tower', {
      file: path,
      tensor: gemma,
      hint: 'give a PaliGemma or a PaliGemma 2 .npz, which has img/ and llm/',
    });
}

/** As selectors need it. */
function slashed(path: string): string {
  return path.replaceAll('\\', '/');
}
