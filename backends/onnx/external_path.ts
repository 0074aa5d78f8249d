import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { BackendError } from '../error.ts';

/** Why a `location` of external data may not be followed; undefined when it is a plain relative path. */
function unsafeLocation(location: string): string | undefined {
  if (location === '') return 'is empty';
  if (location.includes('\0')) return 'contains NUL';
  if (location.includes('\\')) return 'contains a backslash';
  if (location.startsWith('/') || /^[A-Za-z]:/.test(location)) return 'is absolute';
  if (location.split('/').some((part) => part === '..' || part === '.' || part === ''))
    return 'is not a plain relative path';
  return undefined;
}

/**
 * Size of the file that `location` names beside the model. @throws BackendError when the location leaves the folder, by
 * its text or by a link, or is not a regular file: a model must not read what lies elsewhere.
 */
export async function externalFileSize(
  folder: string,
  location: string,
  modelPath: string,
  tensor: string,
): Promise<number> {
  const reject = (reason: string, hint: string): never => {
    throw new BackendError('bundle-damaged', `external data location ${JSON.stringify(location)} ${reason}`, {
      file: modelPath,
      tensor,
      hint,
    });
  };
  const unsafe = unsafeLocation(location);
  if (unsafe) return reject(unsafe, 'do not open this file: its maker wants to read outside of its folder');
  const parts = location.split('/');
  for (let depth = 1; depth <= parts.length; depth++) {
    const path = join(folder, ...parts.slice(0, depth));
    const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR')
        return reject('does not exist', `put ${location} beside the model, or convert again`);
      throw error;
    });
    if (found.isSymbolicLink()) reject('is a symbolic link', 'copy the bundle with links followed (cp -rL)');
    if (depth < parts.length) continue;
    if (!found.isFile()) reject('is not a regular file', 'convert again');
    if (found.nlink > 1) reject('is a hard link', 'copy the bundle to a folder of its own');
    return found.size;
  }
  return reject('is empty', 'convert again');
}
