import { PgconvError } from '../errors.ts';
import { checkFiles } from './check_bundle.ts';
import type { FileEntry } from './manifest.ts';

/** Larger files hold weights and nothing else. */
const BEFORE_BYTES = 16 * 1024 * 1024;

export interface CheckChoice {
  /** Whether it is checked at all; default true. */
  readonly check?: boolean | undefined;
  readonly signal: AbortSignal;
}

/**
 * What `work` makes of a bundle whose files are all as written. Graphs, texts and what else is small are checked before
 * it begins: what a runtime makes of a damaged graph nobody knows. Weights are hashed beside it in a thread, and it is
 * told to stop when they are damaged; what it gave is given when all are known to be right. What is wrong with the
 * bundle comes before what a runtime says of it.
 * @throws BadInputError `bundle_damaged`; what `work` throws
 */
export async function whileChecked<T>(
  dir: string,
  { files }: { readonly files: readonly FileEntry[] },
  { check = true, signal }: CheckChoice,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  if (!check) return work(signal);
  const isFirst = ({ bytes }: FileEntry) => bytes <= BEFORE_BYTES;
  await checkFiles(dir, files.filter(isFirst), { signal });
  const rest = files.filter((file) => !isFirst(file));
  if (rest.length === 0) return work(signal);
  const [damaged, idle] = [new AbortController(), new AbortController()];
  const checking = checkFiles(dir, rest, { signal: AbortSignal.any([signal, idle.signal]) }).catch((error: unknown) => {
    damaged.abort(error);
    throw error;
  });
  const working = work(AbortSignal.any([signal, damaged.signal])).catch((error: unknown) => {
    // no weight is to blame for a picture that is not there
    if (error instanceof PgconvError && !damaged.signal.aborted) idle.abort();
    throw error;
  });
  const [checked, worked] = await Promise.allSettled([checking, working]);
  if (checked.status === 'rejected' && !idle.signal.aborted) throw checked.reason;
  if (worked.status === 'rejected') throw worked.reason;
  return worked.value;
}
