import { stat } from 'node:fs/promises';
import { UsageError } from '../errors.ts';

/** A checkpoint as a user names it: `path`, or `path:subtree` for part of a big_vision .npz. */
export interface SelectedPath {
  readonly path: string;
  /** `img`, or a path in the tree such as `model/img`. */
  readonly selector?: string;
}

/**
 * As big_vision's `load_params` reads it: a selector needs a path with a slash, which tells it from `C:` and from a
 * scheme.
 */
const SELECTED = /^(.*?\/.*?):([\w/]+)$/;

/**
 * Takes the selector off. A file that exists under the whole name is that file, whatever colons its name has.
 * @throws UsageError when the path before the colon is a file, but has no slash.
 */
export async function splitSelector(given: string): Promise<SelectedPath> {
  if (await exists(given)) return { path: given };
  const [, path, selector] = SELECTED.exec(given) ?? [];
  if (path !== undefined && selector !== undefined) return { path, selector: trimSlashes(selector) };
  const bare = given.replace(/:[\w/]+$/, '');
  if (bare !== given && !/^[A-Za-z]$/.test(bare) && (await exists(bare)))
    throw new UsageError(
      'selector_without_slash',
      `"${given}" could be a file name: a subtree is selected after a path that has a "/"`,
      {
        file: bare,
        hint: `write ${/\\/.test(given) ? given.replaceAll('\\', '/') : `./${given}`}`,
      },
    );
  return { path: given };
}

function trimSlashes(selector: string): string {
  return selector.replaceAll(/^\/+|\/+$/g, '');
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
