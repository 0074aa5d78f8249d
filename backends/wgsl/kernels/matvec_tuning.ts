import { partsOf, type LinearSpec } from './linear.ts';
import { columnsOf, valuesOf } from './linear_store.ts';
import { vectorsPerRow } from './matrix_form.ts';

/** How the work of a matvec is laid out. */
export interface MatvecTuning {
  /** Invocations of a workgroup. */
  readonly invocations: number;
  /** Invocations that share rows of the matrix, each every `lanes`th vector of them: a power of two. */
  readonly lanes: number;
  /** Rows of matrices that such a group computes: 2 or 4. What x gives to one it gives to all of them. */
  readonly slots: 2 | 4;
}

/** Fewer leave a large GPU without enough reads in flight. */
const ENOUGH_WORKGROUPS = 256;
/** Bindings of this many rows fill any GPU even where each group of lanes has 4 rows. */
const MANY_ROWS = 8192;

/** Few rows are spread over more lanes, each with less of K, so that enough workgroups run. */
export function tuningOf(spec: LinearSpec): MatvecTuning {
  const values = Math.max(...spec.results.map(valuesOf));
  const rows = spec.results.reduce((sum, result) => sum + columnsOf(result) * valuesOf(result), 0);
  const slots = values > 2 || rows >= MANY_ROWS ? 4 : 2;
  const vectors = Math.min(...spec.results.flatMap((result) => partsOf(result).map(({ matrix }) => vectorsPerRow(spec.matrices[matrix]!.form, spec.columns))));
  const invocations = spec.columns > 4096 ? 256 : 128;
  let lanes = 4;
  while (lanes < 32 && 2 * lanes <= vectors) lanes *= 2;
  while (2 * lanes <= Math.min(vectors, invocations) && (rows * lanes) / (slots * invocations) < ENOUGH_WORKGROUPS) lanes *= 2;
  return { invocations, lanes, slots };
}
