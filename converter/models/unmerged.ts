import { BadInputError, type ErrorPlace } from '../errors.ts';
import type { Appearance, Recognition } from './recognition.ts';

/**
 * Factors of adapters, and the full copies that replace modules, by the names of tuners: PEFT's LoRA and its other
 * methods, MLX and torchtune (`lora_a`), kohya (`lora_down`).
 */
const FACTORS = [
  'lora_(?:[AaBb]|up|down|embedding_[AB]|magnitude_vector)',
  'modules_to_save|original_module',
  'hada_w[12]_[ab]|lokr_w[12](?:_[ab])?|oft_[rR]|boft_[RS]|vera_lambda_[bd]|ia3_l|randlora_\\w+|fourierft_spectrum',
].join('|');
const FACTOR = new RegExp(`\\.(?:${FACTORS})(?:\\.|$)`);
const LORA_FACTOR = /\.lora_(?:[AaBb]|up|down|embedding_[AB]|magnitude_vector)(?:\.|$)/;

/**
 * The same in trees of JAX: openpi's `q_einsum/lora_a` and `gating_einsum_lora_a`, gemma's `lora/a`, `w_lora_a` of
 * qwix, `lora_kernel_a` of Keras.
 */
const ARRAY = /(?:^|[/_])lora(?:_kernel)?[/_][ab](?:$|\/)/;
/** openpi numbers what belongs to the action expert: `q_einsum_1`, `mlp_1`. It is no part of the PaliGemma beside. */
const EXPERT = /(?:^|\/)(?:\w+_einsum|mlp|\w+_norm)_[1-9]\d*\//;

const MERGE_IN_PYTHON =
  'merge it in Python with model.merge_and_unload().save_pretrained(out) and give that folder, or give the base model and the adapter apart';
const MERGE_IN_JAX =
  'merge it in Python where it was trained, and write the arrays with numpy.savez (openpi: attention w + alpha / rank · lora_a · lora_b over the last two axes; gating_einsum and linear + lora_a · lora_b, unscaled)';

/** Whether a tensor of a Hugging Face checkpoint belongs to an adapter that lies beside the weights. */
export function isFactor(name: string): boolean {
  return FACTOR.test(name);
}

/** Why a checkpoint is refused in which `tensor` lies beside the weights. */
export function unmergedAdapter(tensor: string, place: ErrorPlace): BadInputError {
  return new BadInputError('unmerged_adapter', unmergedMessage(tensor), { ...place, hint: MERGE_IN_PYTHON });
}

function unmergedMessage(tensor: string): string {
  return `"${tensor}" belongs to an adapter that was not merged into the weights beside it`;
}

/** An adapter that is given as a checkpoint: factors and what is saved with them, and no weight that they adapt. */
export function recognizeAdapter({ tensors }: Pick<Appearance, 'tensors'>): Recognition | undefined {
  const names = [...tensors.keys()];
  const isAdapter =
    names.some((name) => LORA_FACTOR.test(name)) &&
    names.every((name) => LORA_FACTOR.test(name) || name.startsWith('base_model.model.')) &&
    !names.some((name) => name.includes('.base_layer.'));
  if (!isAdapter) return undefined;
  return {
    code: 'adapter_only',
    message: 'this is a PEFT adapter, not a model',
    hint: 'give the base model as the checkpoint, and the adapter’s folder with --adapter',
  };
}

/** Factors among the arrays of a JAX tree, under whatever prefix, or alone. */
export function recognizeUnmergedArrays({ tensors }: Pick<Appearance, 'tensors'>): Recognition | undefined {
  const names = [...tensors.keys()];
  const tensor = names.find((name) => ARRAY.test(name) && !EXPERT.test(name));
  if (tensor === undefined) return undefined;
  return names.every((name) => ARRAY.test(name))
    ? {
        code: 'adapter_only',
        message: 'these are the factors of a LoRA, not a model',
        tensor,
        hint: MERGE_IN_JAX,
      }
    : { code: 'unmerged_adapter', message: unmergedMessage(tensor), tensor, hint: MERGE_IN_JAX };
}
