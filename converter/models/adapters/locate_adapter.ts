import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { hubIdOf } from '../../checkpoints/hub_cache.ts';
import { currentSnapshot, hubFolder } from '../../checkpoints/locate.ts';
import { leftoverIn } from '../../checkpoints/leftovers.ts';
import { foldersWith, listed } from '../../checkpoints/search_folders.ts';
import { BadInputError, UsageError } from '../../errors.ts';

export const CONFIG = 'adapter_config.json';
export const WEIGHTS = 'adapter_model.safetensors';

/** Where an adapter is. */
export interface LocatedAdapter {
  /** The folder with adapter_config.json: absolute. */
  readonly path: string;
  /** By which people know it: the folder's name, of a model in the Hub's cache that of the model. */
  readonly name: string;
  /** Says what was picked, when `path` is not what was given. */
  readonly warnings: readonly string[];
}

/**
 * Finds the adapter that `given` means: a folder with adapter_config.json, or the one such folder below it (a trainer's
 * `checkpoint-100`, the subfolder of an adapter with a name); `org/name` or `org/name@revision`, of which there is no
 * folder, in the Hub's local cache.
 * @throws UsageError when nothing is there or several could be meant; BadInputError when it is no adapter.
 */
export async function locateAdapter(given: string): Promise<LocatedAdapter> {
  const path = resolve(given);
  const stats = await stat(path).catch(() => undefined);
  if (!stats) return locateInFolder(await hubFolder(given, 'check the path of the adapter'));
  if (!stats.isDirectory())
    throw new UsageError('not_a_folder', 'an adapter is a folder', {
      file: path,
      hint: (await readdir(dirname(path))).includes(CONFIG)
        ? `give the folder that it lies in: ${dirname(path)}`
        : `give the folder that holds ${CONFIG} and ${WEIGHTS}`,
    });
  return locateInFolder(path);
}

async function locateInFolder(folder: string): Promise<LocatedAdapter> {
  const names = await readdir(folder);
  if (names.includes(CONFIG)) return { path: folder, name: nameOf(folder), warnings: [] };
  const current = await currentSnapshot(folder, names);
  if (current !== undefined) {
    const { path, name, warnings } = await locateInFolder(join(folder, current));
    return { path, name, warnings: [`The snapshot ${current}, which is the revision main, was used.`, ...warnings] };
  }
  const found = await foldersWith(folder, (inner) => inner.names.includes(CONFIG));
  const picked = found.at(-1);
  if (!picked) throw withoutConfig(folder, names);
  if (found.length > 1)
    throw new UsageError(
      'ambiguous_adapter',
      `the folder holds several adapters: ${listed(found.map(({ name }) => name))}`,
      { file: folder, hint: `give one of them, such as ${picked.path}` },
    );
  return {
    path: picked.path,
    name: nameOf(picked.path),
    warnings: [`The adapter ${picked.name} in the folder ${basename(folder)} was used.`],
  };
}

/** A commit says nothing: an adapter in the Hub's cache has its model's name. */
function nameOf(path: string): string {
  return basename(hubIdOf(path)?.repo ?? path);
}

function withoutConfig(path: string, names: readonly string[]): BadInputError {
  const isModel =
    names.includes('config.json') && names.some((name) => name.endsWith('.safetensors') && name !== WEIGHTS);
  if (isModel)
    return new BadInputError('not_an_adapter', 'the folder holds a model, not an adapter', {
      file: path,
      hint: 'give it as the checkpoint; merged adapters need no adapter',
    });
  return (
    leftoverIn(path, names) ??
    new BadInputError('not_an_adapter', `the folder has no ${CONFIG}, and none below it has`, {
      file: path,
      hint: 'give the folder that PEFT’s save_pretrained wrote',
    })
  );
}

/** Why a folder with adapter_config.json is no adapter: its weights are missing, or in another form. */
export async function withoutWeights(path: string): Promise<BadInputError> {
  const names = await readdir(path);
  const pickle = names.find((name) => /^adapter_model\.(?:bin|pt|pth)$/.test(name));
  if (pickle)
    return new BadInputError('pickle_refused', 'a PyTorch pickle, which can run code when it is loaded', {
      file: join(path, pickle),
      hint: `where you trust its source, in Python: safetensors.torch.save_file(torch.load(file, weights_only=True), "${WEIGHTS}", {"format": "pt"}), and put that beside ${CONFIG}`,
    });
  if (names.includes('adapters.safetensors'))
    return new BadInputError('unsupported_adapter', 'this is an adapter of MLX, whose factors have other names', {
      file: join(path, 'adapters.safetensors'),
      hint: 'merge it with MLX (python -m mlx_vlm.lora, or mlx_lm fuse), and give the folder that it writes as the checkpoint',
    });
  return (
    leftoverIn(path, names) ??
    new BadInputError('adapter_without_weights', `the folder has no ${WEIGHTS}`, {
      file: path,
      hint: 'save the adapter with PEFT’s save_pretrained, and give that folder',
    })
  );
}
