import { dtypes } from '../dtypes/index.ts';
import type { FormatName } from '../formats/index.ts';
import type { HeldOutRows } from '../observe/held_out.ts';
import { dequantize } from '../ops/dequantize.ts';
import { elementCount, readTensor, type Tensor, type TensorData } from '../tensor.ts';
import type { QuantizedMatrix } from './lazy_matrix.ts';

/** Rows that are read together: of codes of any width whole bytes. */
const GROUP = 8;
/** Groups whose outputs are compared, spread over the matrix: outputs of one layer err alike. */
const GROUPS = 8;

/** Codes that were kept among several. */
export interface KeptMatrix extends QuantizedMatrix {
  /** The number of the way that was kept, 0 for the first: decided now, where it is not yet. */
  kept(): Promise<number>;
}

/**
 * Of several ways to quantize `data` [N, K], all of one layout, the one whose outputs err least on inputs that chose
 * none of their codes: Σ |X (w − ŵ)|² over rows w spread over the matrix. There are several kinds of inputs, and none
 * may lose: each error is taken as a share of the first way's, and the largest share counts. The first wins where none
 * is better. Lazy: it is decided when any of the three tensors is first read or asked about, and then stays.
 */
export function leastOutputError(
  data: TensorData,
  format: FormatName,
  candidates: readonly [QuantizedMatrix, ...QuantizedMatrix[]],
  inputs: readonly HeldOutRows[],
): KeptMatrix {
  let decided: Promise<number> | undefined;
  const kept = () => (decided ??= decide(data, format, candidates, inputs));
  const tensor = (like: TensorData, part: (matrix: QuantizedMatrix) => TensorData): TensorData => ({
    ...like,
    async *chunks(options) {
      yield* part(candidates[await kept()]!).chunks(options);
    },
  });
  const [{ q, scales, zeros }] = candidates;
  return {
    q: tensor(q, (matrix) => matrix.q),
    scales: tensor(scales, (matrix) => matrix.scales),
    ...(zeros && { zeros: tensor(zeros, (matrix) => matrix.zeros!) }),
    kept,
  };
}

async function decide(
  data: TensorData,
  format: FormatName,
  candidates: readonly QuantizedMatrix[],
  inputs: readonly HeldOutRows[],
): Promise<number> {
  const rows = data.shape[0]!;
  const groups = Math.ceil(rows / GROUP);
  const judged = Math.min(groups, GROUPS);
  const errors = candidates.map(() => inputs.map(() => 0));
  for (let i = 0; i < judged; i++) {
    const begin = GROUP * Math.floor((i * groups) / judged);
    const end = Math.min(begin + GROUP, rows);
    const weights = await readGroup(data, begin, end);
    for (const [j, matrix] of candidates.entries()) {
      const made = await dequantized(matrix, format, data.shape[1]!, [begin, end]);
      for (const [kind, rows] of inputs.entries()) errors[j]![kind]! += outputError(made, weights, rows);
    }
  }
  const shares = errors.map((own) => Math.max(...own.map((error, kind) => error / (errors[0]![kind]! || 1))));
  return shares.indexOf(Math.min(...shares));
}

async function dequantized(
  { q, scales, zeros }: QuantizedMatrix,
  format: FormatName,
  columns: number,
  [begin, end]: readonly [number, number],
): Promise<ArrayLike<number>> {
  const parts: Tensor[] = [];
  for (const part of [q, scales, ...(zeros ? [zeros] : [])]) parts.push(await readGroup(part, begin, end));
  return dequantize.evaluate(parts, { format, columns }, new Map())[0]!.data;
}

/** Rows [begin, end), of which the first is a multiple of `GROUP`. */
async function readGroup(data: TensorData, begin: number, end: number): Promise<Tensor> {
  const [rows, ...row] = data.shape as readonly [number, ...number[]];
  const rowBytes = (elementCount(row) * dtypes[data.dtype].bits) / 8;
  const range = { begin: begin * rowBytes, end: end === rows ? data.byteLength : end * rowBytes };
  const shape = [end - begin, ...row];
  return readTensor({
    ...data,
    shape,
    byteLength: range.end - range.begin,
    chunks: (options) => data.chunks({ ...options, ...range }),
  });
}

/** Σ over inputs x and rows of |x · (made − weights)|². */
function outputError(made: ArrayLike<number>, { shape, data }: Tensor, { columns, rows }: HeldOutRows): number {
  if (shape[1] !== columns) throw new RangeError(`inputs of ${columns} columns for a matrix of ${shape[1]}`);
  let sum = 0;
  const errors = new Float64Array(columns);
  for (let row = 0; row < shape[0]!; row++) {
    for (let k = 0; k < columns; k++) errors[k] = made[row * columns + k]! - data[row * columns + k]!;
    for (const x of rows) {
      let output = 0;
      for (let k = 0; k < columns; k++) output += x[k]! * errors[k]!;
      sum += output * output;
    }
  }
  return sum;
}
