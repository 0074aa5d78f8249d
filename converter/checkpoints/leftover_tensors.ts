import { elementCount } from '../../ir/tensor.ts';
import { BadInputError, type ErrorPlace } from '../errors.ts';

/** What is known of a tensor without reading it. */
export interface SeenTensor {
  /** As the IR or the file spells it. */
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly from?: { readonly file: string; readonly byteOffset: number };
}

/** Where a tensor lies, for messages. @param file when the tensor does not say */
export function placeOf(tensor: string, { from }: SeenTensor, file: string): ErrorPlace {
  return { file: from?.file ?? file, tensor, ...(from && { offset: from.byteOffset }) };
}

/** FSDP 1 joins the parameters of a module into one row (`use_orig_params=False`). */
const FLAT = /(?:^|\.)_?flat_param(?:_\d+)?$/;
/** Parameters of modules; what is no parameter may be empty. */
const PARAMETER = /(?:^|[._])(?:weight|bias|lora_\w+)$/;

/**
 * What a distributed training leaves in a file of weights: nothing, or rows that no module has. Undefined for others.
 * @param file for messages
 */
export function leftoverTensors(tensors: ReadonlyMap<string, SeenTensor>, file: string): BadInputError | undefined {
  for (const [name, tensor] of tensors) {
    const place = placeOf(name, tensor, file);
    if (FLAT.test(name))
      return new BadInputError('training_state', `"${name}" is a row into which FSDP joined the weights of a module`, {
        ...place,
        hint: 'save the model again with fsdp_state_dict_type FULL_STATE_DICT: accelerator.get_state_dict(model), then save_pretrained',
      });
    if (PARAMETER.test(name) && elementCount(tensor.shape) === 0) return emptyWeights(name, tensor.shape, place);
  }
  return undefined;
}

/** Weights that DeepSpeed's ZeRO-3 holds elsewhere while save_pretrained writes. */
export function emptyWeights(tensor: string, shape: readonly number[], place: ErrorPlace): BadInputError {
  return new BadInputError(
    'empty_weights',
    `"${tensor}" has shape [${shape.join(', ')}], without elements: DeepSpeed ZeRO-3 keeps weights split over processes, and these were saved without gathering them`,
    {
      ...place,
      hint: 'make them from the training’s own checkpoint, the folder with global_step…: python zero_to_fp32.py . out --safe_serialization; or save again with stage3_gather_16bit_weights_on_model_save: true',
    },
  );
}
