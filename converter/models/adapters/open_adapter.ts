import { isFloat } from '../../../ir/dtypes/index.ts';
import { elementCount } from '../../../ir/tensor.ts';
import { downloadHint } from '../../checkpoints/hub_cache.ts';
import { findSidecars, openInside } from '../../checkpoints/huggingface.ts';
import { emptyWeights } from '../../checkpoints/leftover_tensors.ts';
import { readAllTensors } from '../../checkpoints/safetensors.ts';
import { openJson } from '../../checkpoints/weight_map.ts';
import { BadInputError, UsageError } from '../../errors.ts';
import type { InputFile } from '../../inputs/input_file.ts';
import { inputsOr, type Inputs } from '../../inputs/inputs.ts';
import type { Adapter } from './adapter.ts';
import { parseAdapterConfig } from './adapter_config.ts';
import { CONFIG, locateAdapter, WEIGHTS, withoutWeights, type LocatedAdapter } from './locate_adapter.ts';

const SAVE_WITH_PEFT = 'save the adapter with PEFT’s save_pretrained, and give that folder';

export interface AdapterOptions {
  /** What every change is multiplied by, default 1. */
  readonly scale?: number;
  /** Which its files are among; default inputs of its own. */
  readonly inputs?: Inputs | undefined;
}

/**
 * Opens a PEFT folder: adapter_config.json and adapter_model.safetensors, as `locateAdapter` finds it. Reads the config
 * and the header only; the caller closes it.
 * @throws BadInputError when a file is missing, damaged, a pickle, of another method than LoRA or uses what is not
 * implemented; UsageError when the path or the scale is wrong.
 */
export async function openAdapter(dir: string, { scale = 1, inputs: given }: AdapterOptions = {}): Promise<Adapter> {
  if (!Number.isFinite(scale))
    throw new UsageError('bad_scale', `an adapter cannot be scaled by ${scale}`, {
      file: dir,
      hint: 'give a number, such as 1 or 0.5',
    });
  const { inputs, close } = inputsOr(given);
  try {
    return { ...(await openWith(await locateAdapter(dir), scale, inputs)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openWith(
  { path, name, warnings: picked }: LocatedAdapter,
  scale: number,
  inputs: Inputs,
): Promise<Omit<Adapter, 'close'>> {
  const configFile = await openInside(path, CONFIG, inputs);
  if (!configFile)
    throw new BadInputError('not_an_adapter', `${CONFIG} is a link to nothing`, {
      file: path,
      hint: downloadHint(path, 'give the folder that PEFT’s save_pretrained wrote'),
    });
  const { config, warnings } = parseAdapterConfig(await readObject(configFile), configFile.path);
  const weightsFile = await openInside(path, WEIGHTS, inputs);
  if (!weightsFile) throw await withoutWeights(path);
  const { tensors } = await readAllTensors(weightsFile);
  if (tensors.size === 0)
    throw new BadInputError('adapter_empty', 'the adapter holds no tensors', {
      file: weightsFile.path,
      hint: SAVE_WITH_PEFT,
    });
  for (const [tensor, { dtype, shape, from }] of tensors) {
    const place = { file: weightsFile.path, tensor, ...(from && { offset: from.byteOffset }) };
    if (!isFloat(dtype))
      throw new BadInputError(
        'unsupported_dtype',
        `"${tensor}" is ${dtype}: adapter weights must be f32, f16 or bf16`,
        {
          ...place,
          hint: SAVE_WITH_PEFT,
        },
      );
    if (elementCount(shape) === 0) throw emptyWeights(tensor, shape, place);
  }
  return {
    path,
    name,
    scale,
    config,
    tensors,
    sidecars: await findSidecars(path, inputs),
    files: [weightsFile, configFile],
    warnings: [...picked, ...warnings],
  };
}

async function readObject(file: InputFile): Promise<Readonly<Record<string, unknown>>> {
  const json = await openJson(file, 'bad_config', 'take adapter_config.json from where the adapter was saved again');
  const value = json.plain();
  json.end();
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    json.fail(`${CONFIG} must be a JSON object`, 0);
  return value as Readonly<Record<string, unknown>>;
}
