import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { isFloat } from '../../../ir/dtypes/index.ts';
import { findSidecars } from '../../checkpoints/huggingface.ts';
import { FilePool, InputFile } from '../../checkpoints/input_file.ts';
import { resolveInside } from '../../checkpoints/safe_path.ts';
import { readSafetensors } from '../../checkpoints/safetensors.ts';
import { openJson } from '../../checkpoints/weight_map.ts';
import { BadInputError, UsageError } from '../../errors.ts';
import type { Adapter } from './adapter.ts';
import { parseAdapterConfig } from './adapter_config.ts';

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';
const SAVE_WITH_PEFT = 'save the adapter with PEFT’s save_pretrained, and give that folder';

export interface AdapterOptions {
  /** What every change is multiplied by, default 1. */
  readonly scale?: number;
}

/**
 * Opens a PEFT folder: adapter_config.json and adapter_model.safetensors. Reads the config and the header only; the
 * caller closes it.
 * @throws BadInputError when a file is missing, damaged, a pickle, of another method than LoRA or uses what is not
 * implemented; UsageError when the path or the scale is wrong.
 */
export async function openAdapter(dir: string, { scale = 1 }: AdapterOptions = {}): Promise<Adapter> {
  if (!Number.isFinite(scale))
    throw new UsageError('bad_scale', `an adapter cannot be scaled by ${scale}`, {
      file: dir,
      hint: 'give a number, such as 1 or 0.5',
    });
  const pool = new FilePool();
  try {
    return await openWith(resolve(dir), scale, pool);
  } catch (error) {
    await pool.close();
    throw error;
  }
}

async function openWith(path: string, scale: number, pool: FilePool): Promise<Adapter> {
  const stats = await stat(path).catch(() => undefined);
  if (!stats)
    throw new UsageError('not_found', 'no such folder', { file: path, hint: 'check the path of the adapter' });
  if (!stats.isDirectory())
    throw new UsageError('not_a_folder', 'an adapter is a folder', {
      file: path,
      hint: `give the folder that holds ${CONFIG} and ${WEIGHTS}`,
    });
  const configFile = await openInside(path, CONFIG, pool);
  if (!configFile) throw await withoutConfig(path);
  const { config, warnings } = parseAdapterConfig(await readObject(configFile), configFile.path);
  const weightsFile = await openInside(path, WEIGHTS, pool);
  if (!weightsFile) throw await withoutWeights(path);
  const { tensors } = await readSafetensors(weightsFile);
  if (tensors.size === 0)
    throw new BadInputError('adapter_empty', 'the adapter holds no tensors', {
      file: weightsFile.path,
      hint: SAVE_WITH_PEFT,
    });
  for (const [name, { dtype, from }] of tensors)
    if (!isFloat(dtype))
      throw new BadInputError('unsupported_dtype', `"${name}" is ${dtype}: adapter weights must be f32, f16 or bf16`, {
        file: weightsFile.path,
        tensor: name,
        ...(from && { offset: from.byteOffset }),
        hint: SAVE_WITH_PEFT,
      });
  const files = [weightsFile, configFile];
  return {
    path,
    name: basename(path),
    scale,
    config,
    tensors,
    sidecars: await findSidecars(path),
    files,
    warnings,
    async checkUnchanged() {
      for (const file of files) await file.checkUnchanged();
    },
    close: () => pool.close(),
  };
}

async function openInside(folder: string, name: string, pool: FilePool): Promise<InputFile | undefined> {
  const path = await resolveInside(folder, name);
  return path === undefined ? undefined : InputFile.open(path, name, pool);
}

async function readObject(file: InputFile): Promise<Readonly<Record<string, unknown>>> {
  const json = await openJson(file, 'bad_config', 'take adapter_config.json from where the adapter was saved again');
  const value = json.plain();
  json.end();
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    json.fail(`${CONFIG} must be a JSON object`, 0);
  return value as Readonly<Record<string, unknown>>;
}

async function withoutConfig(path: string): Promise<BadInputError> {
  const names = await readdir(path);
  const isModel =
    names.includes('config.json') && names.some((name) => name.endsWith('.safetensors') && name !== WEIGHTS);
  return isModel
    ? new BadInputError('not_an_adapter', 'the folder holds a model, not an adapter', {
        file: path,
        hint: 'give it as the checkpoint; merged adapters need no adapter',
      })
    : new BadInputError('not_an_adapter', `the folder has no ${CONFIG}`, {
        file: path,
        hint: 'give the folder that PEFT’s save_pretrained wrote',
      });
}

async function withoutWeights(path: string): Promise<BadInputError> {
  const names = await readdir(path);
  const pickle = names.find((name) => /^adapter_model\.(?:bin|pt|pth)$/.test(name));
  if (pickle)
    return new BadInputError('pickle_refused', 'a PyTorch pickle, which can run code when it is loaded', {
      file: join(path, pickle),
      hint: 'where you trust its source, in Python: safetensors.torch.save_file(torch.load(file, weights_only=True), "adapter_model.safetensors", {"format": "pt"}), and put that beside adapter_config.json',
    });
  return new BadInputError('adapter_without_weights', `the folder has no ${WEIGHTS}`, {
    file: path,
    hint: SAVE_WITH_PEFT,
  });
}
