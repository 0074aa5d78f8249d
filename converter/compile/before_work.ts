import { dirname, resolve } from 'node:path';
import type { Backend } from '../../backends/backend.ts';
import { BackendError } from '../../backends/error.ts';
import { formats } from '../../ir/formats/index.ts';
import type { Program } from '../../ir/graph.ts';
import { elementCount, type TensorData } from '../../ir/tensor.ts';
import { contentKey } from '../../ir/views/content.ts';
import { sliceRows } from '../../ir/views/select.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { checkSpace } from '../bundle/output_folder.ts';
import { requireRuntime } from '../bundle/require_runtime.ts';
import { formatFor } from '../precision/precision.ts';

/* What would stop a conversion after its work, and can be known before. */

/** @throws BackendError when what runs the bundle is not here: better now than after the work */
export async function requireVerifier(backend: Backend): Promise<void> {
  await requireRuntime([backend]).catch((error: unknown) => {
    if (!(error instanceof BackendError && error.code === 'runtime-missing')) throw error;
    const { hint, ...place } = error.place;
    const first = hint === undefined ? '' : `${hint}; or `;
    throw new BackendError(
      error.code,
      error.message,
      { ...place, hint: `${first}convert with --no-verify, and run pgconv verify where there is one` },
      { cause: error },
    );
  });
}

/** @throws OutputError when the disk has not even room for the weights */
export async function requireSpace(out: string, program: Program, precision: Precision): Promise<void> {
  await checkSpace(dirname(resolve(out)), leastBytes(program, precision));
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
