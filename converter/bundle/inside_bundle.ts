import { realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { BadInputError } from '../errors.ts';

/**
 * The path of a file of a bundle, which may lie behind links within it, and must not lie behind one that leads out: a
 * bundle that somebody else made must not make its reader read other files. What is not there is told by who reads it.
 * @throws BadInputError `unsafe_path`
 */
export async function insideBundle(dir: string, path: string): Promise<string> {
  const file = join(dir, path);
  const [root, real] = await Promise.all([dir, file].map((each) => realpath(each).catch(() => undefined)));
  if (root !== undefined && real !== undefined && !real.startsWith(root.endsWith(sep) ? root : root + sep))
    throw new BadInputError('unsafe_path', 'a symbolic link leads out of the bundle', {
      file,
      hint: 'if you trust it, copy the bundle with links followed (cp -rL)',
    });
  return file;
}
