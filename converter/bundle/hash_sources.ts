import type { SourceFile } from '../checkpoints/checkpoint.ts';
import { BadInputError } from '../errors.ts';
import { hashFiles, type HashOptions } from './hash_files.ts';
import type { FileEntry } from './manifest.ts';

/**
 * What the manifest says about a checkpoint's files, by their names in its folder. Runs beside a conversion: start it
 * first, await it last.
 * @throws BadInputError `read_failed`; `source_changed` when a file no longer has the size with which it was opened
 */
export async function hashSources(files: readonly SourceFile[], options: HashOptions = {}): Promise<FileEntry[]> {
  const hashes = await hashFiles(
    files.map((file) => file.path),
    options,
  );
  return files.map(({ path, name, byteLength }) => {
    const { bytes, sha256 } = hashes.get(path)!;
    if (bytes !== byteLength)
      throw new BadInputError('source_changed', `the file had ${byteLength} bytes and now has ${bytes}`, {
        file: path,
        hint: 'convert again when nothing writes to the checkpoint',
      });
    return { path: name, bytes, sha256 };
  });
}
