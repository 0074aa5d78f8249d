import { partsOf, type LinearSpec } from './linear.ts';
import { columnsOf, valuesOf } from './linear_store.ts';
import { columnsPerVector, vectorsPerRow, type MatrixForm } from './matrix_form.ts';

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

/** Bytes of workgroup memory by WebGPU's default limits. */
export const WORKGROUP_BYTES = 16384;

/** Vectors of a row for which x has room in workgroup memory, beside a vec4 and a number for each invocation. */
export function stagedVectors(form: MatrixForm, invocations: number): number {
  return Math.floor((WORKGROUP_BYTES - 20 * invocations) / (4 * columnsPerVector(form))) - 1;
}

/** Few rows are spread over more lanes, each with less of K, so that enough workgroups run. */
export function tuningOf(spec: LinearSpec): MatvecTuning {
  const values = Math.max(...spec.results.map(valuesOf));
  const rows = spec.results.reduce((sum, result) => sum + columnsOf(result) * valuesOf(result), 0);
  const slots = values > 2 || rows >= MANY_ROWS ? 4 : 2;
  const invocations = spec.columns > 4096 ? 256 : 128;
  const forms = spec.results.flatMap((result) => partsOf(result).map(({ matrix }) => spec.matrices[matrix]!.form));
  const vectors = Math.min(...forms.map((form) => vectorsPerRow(form, spec.columns)));
  const room = Math.min(invocations, vectors, ...forms.map((form) => stagedVectors(form, invocations)));
  let lanes = 4;
  while (lanes < 32 && 2 * lanes <= room) lanes *= 2;
  // a lane that has one vector alone costs more in sums than it saves
  while (2 * lanes <= room && 4 * lanes <= vectors && (rows * lanes) / (slots * invocations) < ENOUGH_WORKGROUPS)
    lanes *= 2;
  return { invocations, lanes, slots };
}
