import { constants } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { copyFile } from '../disk.js';
import { OutputError } from '../errors.ts';
import { outputError } from '../output_error.ts';

/** Beside this file, in the tree and in a build. */
const SCRIPT = fileURLToPath(new URL('record_paligemma.py', import.meta.url));

/**
 * Writes the Python file that records what an original computes. @throws OutputError when there is a file already and
 * `force` is not given, or when nothing can be written there
 */
export async function writeScript(path: string, { force = false }: { readonly force?: boolean } = {}): Promise<void> {
  try {
    await copyFile(SCRIPT, path, force ? 0 : constants.COPYFILE_EXCL);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST')
      throw new OutputError('exists', 'there is a file already', {
        file: path,
        hint: 'choose another name with --script, or replace it with --force',
      });
    throw outputError(error, path, '--script');
  }
}
