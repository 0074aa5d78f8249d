import type { ValueRows } from '../../../ir/observe/kept_rows.ts';
import type { QuantizedMatrix } from '../../../ir/quantize/lazy_matrix.ts';
import { readTensor, type TensorData } from '../../../ir/tensor.ts';
import { codedMatrix, codeOf } from './coded_matrix.ts';

/** Sweeps over all columns after which a row ends at the latest. */
const SWEEPS = 10;
/** Of the mean of the diagonal, added to it, as GPTQ's. */
const DAMPING = 0.01;

/** Σ δᵀHδ over rows, before and after. */
export interface OutputErrors {
  before: number;
  after: number;
}

/**
 * Codes of 4 bits that are moved, column by column, to those with the least error of the layer's output, δᵀHδ with H =
 * XᵀX, until none moves (coordinate descent, arXiv:2309.01885): what learning to round (AutoRound, arXiv:2309.05516)
 * can win of a layer's own output.
 */
export function descendedCodes(
  data: TensorData,
  { q, scales: givenScales, zeros: givenZeros }: QuantizedMatrix,
  rowsOfInputs: readonly ValueRows[],
  errors: OutputErrors,
): QuantizedMatrix {
  const block = q.shape[2]!;
  return codedMatrix(data, block, async () => {
    const [rows, columns] = data.shape as [number, number];
    const blocks = q.shape[1]!;
    const weights = (await readTensor(data)).data;
    const codes = Uint8Array.from((await readTensor(q)).data);
    const scales = Float32Array.from((await readTensor(givenScales)).data);
    const zeros = Uint8Array.from((await readTensor(givenZeros!)).data);
    const hessian = await hessianOf(rowsOfInputs, columns);
    for (let row = 0; row < rows; row++) {
      const blockOf = (column: number) => row * blocks + Math.floor(column / block);
      const codeAt = (column: number) => blockOf(column) * block + (column % block);
      const meant = (column: number) => (codes[codeAt(column)]! - zeros[blockOf(column)]!) * scales[blockOf(column)]!;
      const delta = Float64Array.from({ length: columns }, (_, k) => weights[row * columns + k]! - meant(k));
      // Hδ, kept up to date
      const product = new Float64Array(columns);
      for (let k = 0; k < columns; k++) addScaledRow(product, hessian, k, delta[k]!);
      errors.before += dot(delta, product);
      for (let sweep = 0, moved = 1; sweep < SWEEPS && moved > 0; sweep++) {
        moved = 0;
        for (let k = 0; k < columns; k++) {
          const weight = weights[row * columns + k]!;
          const wanted = weight - (delta[k]! - product[k]! / hessian[k * columns + k]!);
          const code = codeOf(wanted, scales[blockOf(k)]!, zeros[blockOf(k)]!);
          if (code === codes[codeAt(k)]) continue;
          codes[codeAt(k)] = code;
          const next = weight - meant(k);
          addScaledRow(product, hessian, k, next - delta[k]!);
          delta[k] = next;
          moved++;
        }
      }
      errors.after += dot(delta, product);
    }
    return { codes, scales, zeros };
  });
}

/** XᵀX, [K, K], damped. */
async function hessianOf(values: readonly ValueRows[], columns: number): Promise<Float64Array> {
  const sums = new Float64Array(columns * columns);
  for (const value of values)
    for await (const row of value.read())
      for (const [i, x] of row.entries())
        if (x !== 0) for (let j = 0; j < columns; j++) sums[i * columns + j]! += x * row[j]!;
  let trace = 0;
  for (let i = 0; i < columns; i++) trace += sums[i * columns + i]!;
  for (let i = 0; i < columns; i++) sums[i * columns + i]! += (DAMPING * trace) / columns;
  return sums;
}

function addScaledRow(to: Float64Array, matrix: Float64Array, row: number, by: number): void {
  for (let j = 0; j < to.length; j++) to[j]! += matrix[row * to.length + j]! * by;
}

function dot(a: Float64Array, b: Float64Array): number {
  return a.reduce((sum, x, i) => sum + x * b[i]!, 0);
}
