import type { Backend } from '../../backends/backend.ts';
import { BackendError, type BackendErrorCode } from '../../backends/error.ts';
import { formats } from '../../ir/formats/index.ts';
import type { Program } from '../../ir/graph.ts';
import { elementCount, type TensorData } from '../../ir/tensor.ts';
import { contentKey } from '../../ir/views/content.ts';
import { sliceRows } from '../../ir/views/select.ts';
import type { Precision } from '../../verify/tolerances.ts';
import type { Claim } from '../bundle/claim.ts';
import { checkSpace } from '../bundle/output_folder.ts';
import { flushedBytes, stagingsOf } from '../bundle/staging.ts';
import type { ChosenDevice, DeviceChoice } from '../bundle/choose_device.ts';
import { formatFor } from '../precision/precision.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { requireDevice } from './opening.ts';

/* What would stop a conversion after its work, and can be known before. */

/**
 * Where the bundle will run. @throws BackendError when what runs it is not here: better now than after the work;
 * UsageError for a device that its backend does not have
 */
export async function requireVerifier(
  backend: Backend,
  choice: DeviceChoice,
  reporter: Reporter,
): Promise<ChosenDevice> {
  try {
    return await requireDevice(backend, choice, reporter);
  } catch (error) {
    if (!(error instanceof BackendError && MISSING.has(error.code))) throw error;
    const { hint, ...place } = error.place;
    const first = hint === undefined ? '' : `${hint}; or `;
    throw new BackendError(
      error.code,
      error.message,
      { ...place, hint: `${first}convert with --no-verify, and run pgconv verify where there is one` },
      { cause: error },
    );
  }
}

/** What another machine may have. */
const MISSING: ReadonlySet<BackendErrorCode> = new Set(['runtime-missing', 'no-webgpu', 'browser-failed']);

/** @throws OutputError when the disk has not even room for the weights, beside those that an earlier run has staged */
export async function requireSpace({ folder }: Claim, program: Program, precision: Precision): Promise<void> {
  let staged = 0;
  for (const dir of await stagingsOf(folder)) staged += await flushedBytes(dir);
  await checkSpace(folder.parent, leastBytes(program, precision) - staged);
}

/** Bytes that a bundle has at least: its weights in the fewest bits that the precision stores them in. */
export function leastBytes(program: Program, precision: Precision): number {
  const weights = new Map<string, number>();
  for (const { constants } of program.graphs)
    for (const constant of constants)
      if (constant.kind === 'weight') weights.set(firstRowOf(constant.data), elementCount(constant.data.shape));
  const format = formatFor(precision);
  const bits = format ? formats[format].bits : precision === 'fp32' ? 32 : 16;
  return ([...weights.values()].reduce((sum, count) => sum + count, 0) * bits) / 8;
}

/** Tells weights apart; a table and the head that is its first rows are one. */
function firstRowOf(data: TensorData): string {
  return data.shape.length > 1 ? contentKey(sliceRows(data, 0, 1)) : contentKey(data);
}
