import { RuntimeError } from '../../backends/client/errors.ts';
import { openSource } from '../../backends/client/sources/open_source.ts';
import { readBundle, type TfjsBundle } from '../../backends/tfjs/driver/bundle.ts';
import { PLAN_PATH } from '../../backends/tfjs/plan.ts';
import { BadInputError } from '../errors.ts';

/**
 * The plan and the graph models of a tfjs bundle; no weight is read.
 * @throws BadInputError when it is missing, damaged or of a later version
 */
export async function readTfjsBundle(dir: string): Promise<TfjsBundle> {
  return readBundle(openSource(dir, PLAN_PATH)).catch((cause: unknown) => {
    if (!(cause instanceof RuntimeError)) throw cause;
    throw new BadInputError(
      cause.code,
      cause.message,
      { file: dir, hint: cause.hint ?? 'copy the bundle again, or convert again' },
      { cause },
    );
  });
}
