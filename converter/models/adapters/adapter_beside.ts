import { readdir } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { shellWord } from '../../../ir/text/shell_word.ts';
import type { Checkpoint } from '../../checkpoints/checkpoint.ts';
import { isFolder } from '../../checkpoints/is_folder.ts';
import { holdsAdapter } from '../../checkpoints/weight_files.ts';
import { UsageError } from '../../errors.ts';
import type { Adapter } from './adapter.ts';

/**
 * What an adapter in the checkpoint's own folder means: transformers' from_pretrained loads it with the weights, so a
 * folder that holds both may be either model. It is no question when adapters are named, or the weights' file is.
 * @returns a warning when an adapter was left aside
 * @throws UsageError when nothing tells which of the two is meant
 */
export async function checkAdapterBeside(
  checkpoint: Pick<Checkpoint, 'path' | 'files'>,
  adapters: readonly Pick<Adapter, 'path'>[],
): Promise<readonly string[]> {
  const folder = dirname(checkpoint.files[0]?.path ?? resolve(checkpoint.path, '_'));
  const names = await readdir(folder);
  if (!holdsAdapter(names) || adapters.some(({ path }) => path === folder)) return [];
  if (adapters.length > 0 || !(await isFolder(checkpoint.path)))
    return [`An adapter lies beside the weights (${folder}) and was not used: --adapter names those that are merged.`];
  throw new UsageError('adapter_beside_model', 'the folder holds a model and, beside its weights, an adapter', {
    file: folder,
    hint: `to merge the adapter, give --adapter ${shellWord(folder)}; to convert the model as it is, move ${names.find((name) => name.startsWith('adapter'))!} to another folder`,
  });
}
