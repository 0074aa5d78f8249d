import { lstat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { readRegularText } from '../../backends/regular_file.js';
import { replaceFile } from '../disk.js';
import { OutputError } from '../errors.ts';
import { outputError } from '../output_error.ts';

/** Beside this file, in the tree and in a build. */
const SCRIPT = fileURLToPath(new URL('record_paligemma.py', import.meta.url));

const MAX_SCRIPT_BYTES = 1024 * 1024;

/**
 * Writes the Python file that records what an original computes, whole or not at all.
 * @throws OutputError when there is a file already and `force` is not given, or when nothing can be written there
 */
export async function writeScript(path: string, { force = false }: { readonly force?: boolean } = {}): Promise<void> {
  if (!force && (await lstat(path).catch(() => undefined)))
    throw new OutputError('exists', 'there is a file already', {
      file: path,
      hint: 'choose another name with --script, or replace it with --force',
    });
  const script = await readRegularText(SCRIPT, MAX_SCRIPT_BYTES);
  await replaceFile(path, script).catch((error: unknown) => {
    throw outputError(error, path, '--script');
  });
}
