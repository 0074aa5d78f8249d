import type * as nodeFs from 'node:fs';
import { RuntimeError } from '../errors.ts';

/**
 * Looks at the path of a file before it is read: a bundle that somebody else made must not make its reader read other
 * files, nor wait for a FIFO. What is not there is told by whoever reads it.
 * @throws RuntimeError `damaged` for a path or a link that leads out of the folder, and for what is no regular file
 */
export async function insideFolder(fs: typeof nodeFs, folder: string, path: string): Promise<void> {
  const refuse = (why: string): never => {
    throw new RuntimeError('damaged', `${folder}/${path}: ${why}`, 'copy the bundle with links followed (cp -rL)');
  };
  if (path.split(/[/\\]/).some((part) => part === '..' || part === '') || /^[A-Za-z]:/.test(path))
    refuse('the path leads out of the bundle');
  const [root, real] = await Promise.all(
    [folder, `${folder}/${path}`].map((each) => fs.promises.realpath(each).catch(() => undefined)),
  );
  if (root === undefined || real === undefined) return;
  const beyond = root.endsWith('/') || root.endsWith('\\') ? root.length : root.length + 1;
  if (!real.startsWith(root) || !/[/\\]/.test(real[beyond - 1] ?? '')) refuse('a link leads out of the bundle');
  const stats = await fs.promises.stat(real).catch(() => undefined);
  if (stats && !stats.isFile()) refuse('it is no regular file');
}
