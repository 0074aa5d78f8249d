import { lstat, readlink, realpath } from 'node:fs/promises';
import { basename, dirname, join, sep } from 'node:path';
import { shellWord } from '../../ir/text/shell_word.ts';
import { BadInputError } from '../errors.ts';
import { isHubBlob } from './hub_cache.ts';

/**
 * Whether `name` is a plain file name: no separator of any system, no drive, no percent-encoding that hides one, no
 * control character.
 */
export function isPlainFileName(name: string): boolean {
  // oxlint-disable-next-line no-control-regex -- finding control characters is the point
  return name !== '' && name !== '.' && name !== '..' && !/[/\\:\u0000-\u001f\u007f]|%(?:2e|2f|5c|00|25)/i.test(name);
}

/**
 * The path of `name` in `folder`, or undefined when it is absent. A symbolic link may stay in the folder, or lead to a
 * file of a Hub cache: from snapshots/<revision>/ to blobs/<hash> beside it, or, as older versions of
 * `hf download --local-dir` make them, to the blobs of any models--<org>--<name>.
 * @throws BadInputError for any other link: a checkpoint must not make the converter read, or copy, the user's files.
 */
export async function resolveInside(folder: string, name: string): Promise<string | undefined> {
  const path = join(folder, name);
  const stats = await lstat(path).catch(() => undefined);
  if (!stats) return undefined;
  if (!stats.isSymbolicLink()) return path;
  const target = await realpath(path).catch(() => undefined);
  if (target === undefined) return undefined; // the link dangles: a download that is missing
  const root = await realpath(folder);
  if (target.startsWith(root + sep) || isCacheBlob(root, target) || isHubBlob(target)) return path;
  throw new BadInputError(
    'outside_checkpoint',
    `a symbolic link leads out of the checkpoint, to ${await readlink(path)}`,
    {
      file: path,
      hint: `if you trust it, put the file itself there: ln -f ${shellWord(target)} ${shellWord(path)} makes a hard link, which takes no room (from another disk: cp --remove-destination)`,
    },
  );
}

/** `<repository>/snapshots/<revision>` and `<repository>/blobs/<sha1 or sha256>`. */
function isCacheBlob(root: string, target: string): boolean {
  const snapshots = dirname(root);
  return (
    basename(snapshots) === 'snapshots' &&
    dirname(target) === join(dirname(snapshots), 'blobs') &&
    /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(basename(target))
  );
}
