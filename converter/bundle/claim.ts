import { removePath } from '../disk.js';
import { outputError } from '../output_error.ts';
import { acquireLock, type Lock } from './lock.ts';
import {
  checkOutput,
  checkReplaceable,
  exists,
  folderOf,
  recover,
  type KeptFiles,
  type OutputFolder,
} from './output_folder.ts';
import { stagingsOf } from './staging.ts';

/** A place for a bundle that one run has, from before its work until it is done. */
export interface Claim {
  readonly folder: OutputFolder;
  readonly lock: Lock;
  /** An existing bundle is to be replaced. */
  readonly force: boolean;
  /** Files of a user that a run which was killed had not put back. */
  readonly recovered: KeptFiles | undefined;
  release(): Promise<void>;
}

/**
 * Takes an output for this run alone, and puts right what one that was killed left there.
 * @throws OutputError `exists`, `not_a_bundle`, `parent_missing`, `not_writable`; `locked`, with who holds it
 */
export async function claimOutput(outDir: string, force = false): Promise<Claim> {
  const folder = await checkOutput(outDir, force);
  const lock = await acquireLock(folder.lock).catch((error: unknown) => {
    throw outputError(error, folder.lock);
  });
  // a lock that cannot be removed is stale when this process has ended
  const release = () => lock.release().catch(() => {});
  try {
    const recovered = await recover(folder).catch((error: unknown) => {
      throw outputError(error, folder.path);
    });
    // Another run may have ended between the first look and the lock.
    await checkReplaceable(folder, force);
    return { folder, lock, force, recovered, release };
  } catch (error) {
    await release();
    throw error;
  }
}

/**
 * Removes all that runs have left beside an output, as the holder of its lock, so that no run of now is disturbed.
 * @throws OutputError `locked`, …
 */
export async function removeLeftovers(output: string): Promise<{
  /** A bundle that had been moved away is in its place again. */
  readonly putBack: boolean;
  /** Files that were in the place of a bundle that had been replaced, and were not its own. */
  readonly kept: KeptFiles | undefined;
}> {
  const folder = folderOf(output);
  const asOutputError = (error: unknown): never => {
    throw outputError(error, output);
  };
  const lock = await acquireLock(folder.lock).catch(asOutputError);
  try {
    const putBack = (await exists(folder.old)) && !(await exists(folder.path));
    const kept = await recover(folder);
    for (const staging of await stagingsOf(folder)) await removePath(staging);
    return { putBack, kept };
  } catch (error) {
    return asOutputError(error);
  } finally {
    await lock.release().catch(() => {});
  }
}
