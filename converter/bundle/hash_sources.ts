import type { SourceFile } from '../checkpoints/checkpoint.ts';
import { BadInputError } from '../errors.ts';
import type { Inputs } from '../inputs/inputs.ts';
import { BLOCK_BYTES } from '../inputs/read_sums.ts';
import { hashFiles, type HashOptions } from './hash_files.ts';
import type { FileEntry } from './manifest.ts';

/**
 * What the manifest says about a checkpoint's files, by their names in its folder. Runs beside a conversion: start it
 * first, await it last.
 * @param inputs that learn what their files were hashed as: what was read of them must be that
 * @throws BadInputError `read_failed`; `source_changed` when a file no longer has the size with which it was opened
 */
export async function hashSources(
  files: readonly Pick<SourceFile, 'path' | 'name' | 'byteLength'>[],
  inputs: Pick<Inputs, 'hashed'>,
  options: HashOptions = {},
): Promise<FileEntry[]> {
  options.onTotal?.(files.reduce((sum, { byteLength }) => sum + byteLength, 0));
  const hashes = await hashFiles(
    files.map((file) => file.path),
    { ...options, sumBytes: BLOCK_BYTES },
  );
  const entries: FileEntry[] = [];
  for (const { path, name, byteLength } of files) {
    const { bytes, sha256, blocks } = hashes.get(path)!;
    if (bytes !== byteLength)
      throw new BadInputError('source_changed', `the file had ${byteLength} bytes and now has ${bytes}`, {
        file: path,
        hint: 'convert again when nothing writes to the checkpoint',
      });
    await inputs.hashed(path, blocks);
    entries.push({ path: name, bytes, sha256 });
  }
  return entries;
}
