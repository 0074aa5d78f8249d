import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { BadInputError, UsageError } from '../errors.ts';
import { FilePool, InputFile, kindOf } from './input_file.ts';
import { recognize, refusal, refusedName } from './recognize.ts';
import { findWeightFiles, refuseFolder } from './weight_files.ts';

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
 * that lies in it (a Hugging Face folder before an .npz).
 * @throws UsageError when nothing is there or several could be meant; BadInputError for formats that are never read.
 */
export async function locateCheckpoint(given: string): Promise<Located> {
  const path = resolve(given);
  const stats = await stat(path, { bigint: true }).catch((cause: unknown) => {
    throw new UsageError(
      'not_found',
      'no such file or folder',
      { file: path, hint: 'check the path of the checkpoint' },
      { cause },
    );
  });
  if (stats.isFile()) return locateFile(path);
  if (!stats.isDirectory())
    throw new BadInputError('not_a_file', `expected a file or a folder, found ${kindOf(stats)}`, {
      file: path,
      hint: 'give the folder or the file that was downloaded',
    });
  return locateInFolder(path);
}

async function locateFile(path: string): Promise<Located> {
  if (/\.json$/i.test(path))
    throw new UsageError('not_weights', 'this is a JSON file, not weights', {
      file: path,
      hint: 'give the folder that it lies in',
    });
  if (path.endsWith('-LAST')) refuseFolder(resolve(path, '..'), [basename(path)]);
  const pool = new FilePool();
  try {
    const content = await recognize(await InputFile.open(path, basename(path), pool));
    if (content.kind === 'refused')
      throw new BadInputError(content.code, content.message, { file: path, offset: 0, hint: content.hint });
    const named = content.kind === 'unknown' ? refusedName(basename(path)) : undefined;
    if (named) throw refusal(named, { file: path });
    return { kind: content.kind === 'zip' ? 'npz' : 'huggingface', path, warnings: [] };
  } finally {
    await pool.close();
  }
}

async function locateInFolder(folder: string): Promise<Located> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.map(({ name }) => name).toSorted();
  if (findWeightFiles(folder, names)) return { kind: 'huggingface', path: folder, warnings: [] };
  const folders: string[] = [];
  for (const name of entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .toSorted()) {
    // A Hugging Face cache keeps each revision in snapshots/<revision>.
    const inner =
      name === 'snapshots'
        ? (await readdir(join(folder, name))).toSorted().map((revision) => join(name, revision))
        : [name];
    for (const candidate of inner) if (await hasWeights(join(folder, candidate))) folders.push(candidate);
  }
  const archives = names.filter((name) => /\.npz$/i.test(name));
  const [picked] = folders.length > 0 ? folders : archives;
  if (picked === undefined) return refuse(folder, names);
  const [kind, same, others] =
    folders.length > 0 ? (['huggingface', folders, archives] as const) : (['npz', archives, []] as const);
  if (same.length > 1)
    throw new UsageError(
      'ambiguous_checkpoint',
      `the folder holds several checkpoints: ${[...folders, ...archives].join(', ')}`,
      { file: folder, hint: `give one of them, such as ${join(folder, picked)}` },
    );
  const beside =
    others.length > 0
      ? `; ${others.join(', ')} lay beside it and ${others.length === 1 ? 'was' : 'were'} not used`
      : '';
  return { kind, path: join(folder, picked), warnings: [`The checkpoint ${picked} in the folder was used${beside}.`] };
}

async function hasWeights(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch(() => []);
  return findWeightFiles(folder, names) !== undefined;
}

function refuse(folder: string, names: readonly string[]): never {
  refuseFolder(folder, names);
  const found =
    names.length === 0 ? 'it is empty' : `it holds ${names.slice(0, 8).join(', ')}${names.length > 8 ? ', …' : ''}`;
  throw new BadInputError(
    'no_weights',
    `the folder holds no model.safetensors, no index of shards and no .npz; ${found}`,
    {
      file: folder,
      hint: 'give a Hugging Face folder with .safetensors files, or a big_vision .npz',
    },
  );
}
