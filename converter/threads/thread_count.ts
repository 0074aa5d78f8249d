import { availableParallelism } from 'node:os';
import { UsageError } from '../errors.ts';

/** More than reading and writing can feed. */
const MOST_BY_DEFAULT = 8;
const MOST = 256;

/**
 * Threads for heavy work: `PGCONV_THREADS`, otherwise one a core, at most 8.
 * @throws UsageError when the variable is no number from 1 on
 */
export function threadCount(variable = process.env['PGCONV_THREADS']): number {
  if (variable === undefined || variable === '') return Math.min(availableParallelism(), MOST_BY_DEFAULT);
  const count = Number(variable);
  if (!Number.isInteger(count) || count < 1 || count > MOST)
    throw new UsageError('bad_option', `PGCONV_THREADS is ${variable}`, {
      hint: `set it to a number from 1 to ${MOST}, or unset it`,
    });
  return count;
}
