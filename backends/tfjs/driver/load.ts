import { checkedSource } from '../../client/integrity/checked_source.ts';
import { readFileHashes } from '../../client/integrity/file_hashes.ts';
import { openSource, type BundleLocation } from '../../client/sources/open_source.ts';
import { PLAN_PATH } from '../plan.ts';
import { Engine, type EngineOptions } from './engine.ts';
import { Model } from './model.ts';
import type { Tfjs } from './tfjs.ts';

export interface LoadOptions extends EngineOptions {
  /**
   * tfjs with the backend in use that is to compute: the package `@tensorflow/tfjs`, or `{ ...core, ...converter }`.
   */
  readonly tf: Tfjs;
  /** Whether files are held to manifest.json as they come; default true. `false` takes them as they are. */
  readonly integrity?: boolean;
}

/**
 * A bundle from a URL, a folder (in Node) or files, in tfjs and ready to run. Every file that is read, now or later, is
 * held to the sha256 that manifest.json states, weights as they stream by: the model is there when all of them are
 * right. A table whose rows are looked up in files of its own (an embedding that is no head's) is read through once.
 * @throws RuntimeError, see `code`: `damaged` names the file that is not as written; the signal's reason. Nothing is
 * held then.
 */
export async function load(
  location: BundleLocation,
  { tf, integrity = true, ...options }: LoadOptions,
): Promise<Model> {
  options.signal?.throwIfAborted();
  const source = openSource(location, PLAN_PATH);
  return new Model(
    await Engine.load(
      tf,
      integrity ? checkedSource(source, await readFileHashes(source, options.signal)) : source,
      options,
    ),
  );
}
