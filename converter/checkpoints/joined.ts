import { dirname, relative, resolve, sep } from 'node:path';
import type { TensorData } from '../../ir/tensor.ts';
import { UsageError } from '../errors.ts';
import type { InputFile } from '../inputs/input_file.ts';
import type { Beside, Checkpoint, SidecarName } from './checkpoint.ts';
import type { SelectedPath } from './selector.ts';
import { selectSubtree } from './subtree.ts';

/** Opens the whole checkpoint at a path. */
export type OpenWhole = (path: string) => Promise<Checkpoint>;

/**
 * One checkpoint of parts of several big_vision files, or of several parts of one, as `init_files` of big_vision's
 * `models/proj/paligemma` joins them. Each file is opened once.
 * @throws UsageError when a file is no .npz, a subtree is absent, or two parts hold the same array.
 */
export async function openJoined(sources: readonly SelectedPath[], open: OpenWhole): Promise<Checkpoint> {
  const opened = new Map<string, Checkpoint>();
  const close = async (): Promise<void> => {
    await Promise.all([...opened.values()].map((checkpoint) => checkpoint.close()));
  };
  try {
    for (const { path, selector } of sources) {
      if (opened.has(resolve(path))) continue;
      const checkpoint = await open(path);
      opened.set(resolve(path), checkpoint);
      if (checkpoint.format !== 'big_vision')
        throw new UsageError(
          'not_selectable',
          `${selector === undefined ? 'several paths make one checkpoint' : `":${selector}" selects a subtree`} of big_vision .npz files only`,
          {
            file: checkpoint.path,
            hint:
              selector === undefined
                ? 'give one Hugging Face folder'
                : 'give the folder or the file without a selector',
          },
        );
    }
    return { ...join(sources, opened), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function join(sources: readonly SelectedPath[], opened: ReadonlyMap<string, Checkpoint>): Omit<Checkpoint, 'close'> {
  const tensors = new Map<string, TensorData>();
  const homes = new Map<string, string>();
  for (const { path, selector } of sources) {
    const checkpoint = opened.get(resolve(path))!;
    const name = selector === undefined ? path : `${path}:${selector}`;
    for (const [key, data] of selector === undefined
      ? checkpoint.tensors
      : selectSubtree(checkpoint.tensors, selector, checkpoint.path)) {
      const other = homes.get(key);
      if (other !== undefined)
        throw new UsageError('duplicate_subtree', `${other} and ${name} both hold "${key}"`, {
          file: checkpoint.path,
          hint: 'select from each file what the others do not give, such as :img and :llm',
        });
      homes.set(key, name);
      tensors.set(key, data);
    }
  }
  const checkpoints = [...opened.values()];
  const selected = new Set(tensors.values());
  const beside = new Map<string, Beside>(checkpoints.flatMap((checkpoint) => [...(checkpoint.beside ?? [])]));
  for (const checkpoint of checkpoints)
    for (const [name, data] of checkpoint.tensors) if (!selected.has(data)) beside.set(name, 'not selected');
  const sidecars = new Map<SidecarName, InputFile>();
  for (const checkpoint of checkpoints)
    for (const [name, file] of checkpoint.sidecars) if (!sidecars.has(name)) sidecars.set(name, file);
  const files = checkpoints.flatMap((checkpoint) => checkpoint.files);
  const folder = commonFolder(files.map(({ path }) => path));
  return {
    format: 'big_vision',
    path: checkpoints[0]!.path,
    tensors,
    beside,
    files: files.map((file) => ({ ...file, name: relative(folder, file.path).replaceAll(sep, '/') })),
    config: undefined,
    sidecars,
    warnings: checkpoints.flatMap((checkpoint) => checkpoint.warnings),
    async checkUnchanged() {
      for (const checkpoint of checkpoints) await checkpoint.checkUnchanged();
    },
  };
}

/** The deepest folder that holds all paths. */
function commonFolder(paths: readonly string[]): string {
  let folder = dirname(paths[0]!);
  while (paths.some((path) => relative(folder, path).startsWith('..')) && dirname(folder) !== folder)
    folder = dirname(folder);
  return folder;
}
