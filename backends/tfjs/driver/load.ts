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
}

/**
 * A bundle from a URL, a folder (in Node) or files, in tfjs and ready to run. The size of every file is checked
 * against the plan; `pgconv verify` checks contents.
 * @throws RuntimeError, see `code`; the signal's reason. Nothing is held then.
 */
export async function load(location: BundleLocation, { tf, ...options }: LoadOptions): Promise<Model> {
  options.signal?.throwIfAborted();
  return new Model(await Engine.load(tf, openSource(location, PLAN_PATH), options));
}
