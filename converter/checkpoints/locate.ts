import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { shellWord } from '../../ir/text/shell_word.ts';
import { BadInputError, UsageError } from '../errors.ts';
import { commitOf, downloadHint, findInHubCache, parseHubId } from './hub_cache.ts';
import { inputsOr, type Inputs } from '../inputs/inputs.ts';
import { kindOf } from '../../backends/regular_file.js';
import { isFolder } from './is_folder.ts';
import { leftoverFile, stateAlone } from './leftovers.ts';
import { recognize, refusal, refusedName } from './recognize.ts';
import { resolveInside } from './safe_path.ts';
import { foldersWith, levelsBelow, listed } from './search_folders.ts';
import { findWeightFiles, holdsAdapter, refuseFolder } from './weight_files.ts';

/** Where the weights are, found by content. */
export interface Located {
  readonly kind: 'huggingface' | 'npz';
  /** Absolute: the folder, the single .safetensors file or the .npz. */
  readonly path: string;
  /** Says what was picked, when `path` is not what was given. */
  readonly warnings: readonly string[];
}

/**
 * Finds the checkpoint that `given` means: a file by its first bytes; a folder by its weights, or by the one checkpoint
 * that lies in it, up to three levels deep (a Hugging Face folder before an .npz); `org/name` or `org/name@revision`,
 * of which there is no file or folder, in the Hub's local cache.
 * @throws UsageError when nothing is there or several could be meant; BadInputError for formats that are never read.
 */
export async function locateCheckpoint(given: string, inputs?: Inputs): Promise<Located> {
  const path = resolve(given);
  const stats = await stat(path, { bigint: true }).catch(() => undefined);
  if (!stats) return locateInFolder(await hubFolder(given, 'check the path of the checkpoint'));
  if (stats.isFile()) return locateFile(path, inputs);
  if (!stats.isDirectory())
    throw new BadInputError('not_a_file', `expected a file or a folder, found ${kindOf(stats)}`, {
      file: path,
      hint: 'give the folder or the file that was downloaded',
    });
  return locateInFolder(path);
}

/**
 * The folder in the Hub's cache of a model that is named by its id.
 * @throws UsageError when it is not there; for what can only be a path, with `hint`
 */
export async function hubFolder(given: string, hint: string): Promise<string> {
  const id = parseHubId(given);
  if (id) return findInHubCache(id);
  throw new UsageError('not_found', 'no such file or folder', { file: resolve(given), hint });
}

async function locateFile(path: string, given: Inputs | undefined): Promise<Located> {
  if (/\.json$/i.test(path))
    throw new UsageError('not_weights', 'this is a JSON file, not weights', {
      file: path,
      hint: 'give the folder that it lies in',
    });
  if (path.endsWith('-LAST')) refuseFolder(resolve(path, '..'), [basename(path)]);
  const leftover = leftoverFile(path);
  if (leftover) throw leftover;
  const { inputs, close } = inputsOr(given);
  try {
    const content = await recognize(await inputs.open(path));
    if (content.kind === 'refused')
      throw new BadInputError(content.code, content.message, { file: path, offset: 0, hint: content.hint });
    const named = content.kind === 'unknown' ? refusedName(basename(path)) : undefined;
    if (named) throw refusal(named, { file: path });
    return { kind: content.kind === 'zip' ? 'npz' : 'huggingface', path, warnings: [] };
  } finally {
    await close();
  }
}

async function locateInFolder(folder: string): Promise<Located> {
  const names = (await readdir(folder)).toSorted();
  if (findWeightFiles(folder, names)) return { kind: 'huggingface', path: folder, warnings: [] };
  const current = await currentSnapshot(folder, names);
  if (current !== undefined) {
    const located = await locateInFolder(join(folder, current));
    return { ...located, warnings: [`The snapshot ${current}, which is the revision main, was used.`] };
  }
  let archives = archivesIn(names);
  for await (const level of levelsBelow(folder)) {
    const folders = level.filter((inner) => hasWeights(inner.path, inner.names)).map(({ name }) => name);
    if (folders.length + archives.length > 0) return choose(folder, folders, archives);
    archives = level.flatMap((inner) => archivesIn(inner.names).map((name) => join(inner.name, name)));
  }
  return archives.length > 0 ? choose(folder, [], archives) : refuse(folder, names);
}

/** In the Hub cache's folder of a model: the snapshot that refs/main names, relative to the folder. */
export async function currentSnapshot(folder: string, names: readonly string[]): Promise<string | undefined> {
  if (!names.includes('snapshots') || !names.includes('refs')) return undefined;
  const commit = await commitOf(folder, 'main');
  if (commit === undefined || !(await isFolder(join(folder, 'snapshots', commit)))) return undefined;
  return join('snapshots', commit);
}

function archivesIn(names: readonly string[]): readonly string[] {
  return names.filter((name) => /\.npz$/i.test(name));
}

/** The one checkpoint among those that lie beside each other. */
async function choose(folder: string, folders: readonly string[], archives: readonly string[]): Promise<Located> {
  const [kind, same, others] =
    folders.length > 0 ? (['huggingface', folders, archives] as const) : (['npz', archives, []] as const);
  const picked = same.at(-1)!;
  if (same.length > 1)
    throw new UsageError(
      'ambiguous_checkpoint',
      `the folder holds several checkpoints: ${listed([...folders, ...archives])}`,
      { file: folder, hint: `give one of them, such as ${join(folder, picked)}` },
    );
  const path = join(folder, picked);
  if (kind === 'npz') await resolveInside(resolve(path, '..'), basename(path));
  const beside =
    others.length > 0 ? `; ${listed(others)} lay beside it and ${others.length === 1 ? 'was' : 'were'} not used` : '';
  return { kind, path, warnings: [`The checkpoint ${picked} in the folder was used${beside}.`] };
}

/** Whether there are weights, be it that several files could be meant. */
function hasWeights(folder: string, names: readonly string[]): boolean {
  try {
    return findWeightFiles(folder, names) !== undefined;
  } catch {
    return true;
  }
}

/** What the folder holds instead, or one below it. */
async function refuse(folder: string, names: readonly string[]): Promise<never> {
  refuseFolder(folder, names);
  const adapters = await foldersWith(folder, (inner) => holdsAdapter(inner.names));
  if (adapters.length > 0)
    throw new BadInputError(
      'adapter_only',
      `the folder holds ${adapters.length === 1 ? 'a PEFT adapter' : 'PEFT adapters'} (${listed(adapters.map(({ name }) => name))}), not a model`,
      {
        file: folder,
        hint: `give the base model as the checkpoint, and the adapter with it: --adapter ${shellWord(adapters.at(-1)!.path)}`,
      },
    );
  for await (const level of levelsBelow(folder)) for (const inner of level) refuseFolder(inner.path, inner.names);
  const state = stateAlone(folder, names);
  if (state) throw state;
  const found =
    names.length === 0 ? 'it is empty' : `it holds ${names.slice(0, 8).join(', ')}${names.length > 8 ? ', …' : ''}`;
  throw new BadInputError(
    'no_weights',
    `the folder holds no model.safetensors, no index of shards and no .npz; ${found}`,
    {
      file: folder,
      hint: downloadHint(folder, 'give a Hugging Face folder with .safetensors files, or a big_vision .npz'),
    },
  );
}
