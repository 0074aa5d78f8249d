import { evaluateDim, type Bindings } from '../../../ir/dim.ts';
import { randomSource } from '../../../ir/random_source.ts';
import type { Kernel } from '../kernels/kernel.ts';
import { linearBindings, partsOf, type LinearResult, type LinearSpec } from '../kernels/linear.ts';
import { randomMatrix } from './random_matrix.ts';
import { roundedBlocks } from './rounded_blocks.ts';
import { runKernel } from './run_kernel.ts';

export interface LinearCase {
  readonly spec: LinearSpec;
  readonly sizes?: Readonly<Record<string, number>>;
  /** The epilogues, as functions: of result i. */
  readonly epilogue?: (
    result: number,
    y: readonly number[],
    at: { readonly row: number; readonly column: number; readonly operands: Operands },
  ) => number;
  /** Elements of the epilogues' operands by name. */
  readonly operands?: Readonly<Record<string, number>>;
  readonly features?: readonly string[];
  /** The sums expected are of x rounded to bytes. */
  readonly rounded?: boolean;
}

type Operands = Readonly<Record<string, Float32Array>>;

/** What elements of a result are before the kernel runs, so that those it must leave alone are known. */
const UNTOUCHED = -77;
const POSITIONS = 50;

export interface LinearOutcome {
  /** Largest difference from sums in f64, in units of the largest Σ|x·w| of the case. */
  readonly error: number;
  /** Elements compared. */
  readonly count: number;
  /** What the kernel gave, result after result. */
  readonly results: readonly Float32Array[];
}

/** Runs a linear kernel on random numbers, and computes the same in f64. */
export async function runLinear(
  device: GPUDevice,
  kernel: Kernel,
  { spec, sizes = {}, epilogue, operands: counts = {}, features = [], rounded = false }: LinearCase,
): Promise<LinearOutcome> {
  const bindings: Bindings = new Map(Object.entries(sizes));
  const rows = spec.rows.reduce<number>((product, dim) => product * evaluateDim(dim, bindings), 1);
  const next = randomSource(7);
  const floats = (count: number) => Float32Array.from({ length: count }, () => 2 * next() - 1);
  const x = floats(rows * spec.columns);
  const norm = floats(spec.columns);
  const matrices = spec.matrices.map(({ form, outputs }, i) => randomMatrix(form, outputs, spec.columns, 100 + i));
  const operands: Operands = Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, floats(count)]));
  const positions = Int32Array.from({ length: rows }, (_, row) => (row * 13 + 5) % POSITIONS);
  const headDim = Math.max(2, ...spec.results.map((result) => (result.kind === 'plain' ? 0 : result.headDim)));
  const rope = floats(POSITIONS * headDim);
  const outs = spec.results.map((result) => new Float32Array(storedElements(result, rows, sizes)).fill(UNTOUCHED));
  const known: Readonly<Record<string, Float32Array | Int32Array | Uint32Array>> = {
    x,
    norm,
    positions,
    rope,
    ...operands,
    ...Object.fromEntries(matrices.map(({ words }, i) => [`w${i}`, words])),
    ...Object.fromEntries(outs.map((out, i) => [`out${i}`, out])),
  };
  const buffers = linearBindings(spec).map(({ name }) => known[name]!);
  const found = await runKernel(device, { kernel, sizes, buffers, features });

  const inputs = Array.from({ length: rows }, (_, row) => {
    const values = Array.from(
      { length: spec.columns },
      (_unused, k) => x[row * spec.columns + k]! * (spec.norm ? norm[k]! : 1),
    );
    return rounded ? roundedBlocks(values) : values;
  });
  let magnitude = 1;
  const product = (matrix: number, output: number, row: number): number => {
    const w = matrices[matrix]!.tensor.data;
    let [sum, size, square] = [0, 0, 0];
    for (let k = 0; k < spec.columns; k++) {
      const value = x[row * spec.columns + k]!;
      const term = inputs[row]![k]! * w[output * spec.columns + k]!;
      square += value * value;
      sum += term;
      size += Math.abs(term);
    }
    const factor = spec.norm ? 1 / Math.sqrt(square / spec.columns + spec.norm.epsilon) : 1;
    magnitude = Math.max(magnitude, size * factor);
    return sum * factor;
  };
  const expected = outs.map((out) => Float64Array.from(out));
  spec.results.forEach((result, i) => {
    const parts = partsOf(result);
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < parts[0].count; column++) {
        const y = parts.map(({ matrix, first }) => product(matrix, first + column, row));
        if (result.kind === 'plain') {
          const at = row * (result.stride ?? parts[0].count) + (result.offset ?? 0) + column;
          expected[i]![at] = epilogue ? epilogue(i, y, { row, column, operands }) : y[0]!;
          continue;
        }
        const h = column % result.headDim;
        const half = result.headDim / 2;
        let value = y[0]!;
        if (result.kind === 'rope' || result.rotated) {
          const other = product(parts[0].matrix, parts[0].first + column + (h < half ? half : -half), row);
          const angle = positions[row]! * result.headDim + (h % half);
          value =
            h < half
              ? value * rope[angle]! - other * rope[angle + half]!
              : value * rope[angle]! + other * rope[angle + half]!;
        }
        const head = Math.floor(column / result.headDim);
        if (result.kind === 'rope')
          expected[i]![(row * result.heads + head) * result.headDim + h] = value * result.scale;
        else {
          const seq = evaluateDim(result.seq, bindings);
          const [batch, s] = [Math.floor(row / seq), row % seq];
          expected[i]![((batch * result.heads + head) * sizes['capacity']! + sizes['past']! + s) * result.headDim + h] =
            value;
        }
      }
  });
  let [error, count] = [0, 0];
  const results = outs.map((_, i) => new Float32Array(found[buffers.length - outs.length + i]!));
  expected.forEach((out, i) => {
    const actual = results[i]!;
    out.forEach((value, at) => {
      const difference = Math.abs(actual[at]! - value);
      error = Math.max(error, Number.isNaN(difference) ? Infinity : difference);
      count++;
    });
  });
  return { error: error / magnitude, count, results };
}

/** Room of a result; of plain ones 3 elements more than they need, which must stay as they are. */
function storedElements(result: LinearResult, rows: number, sizes: Readonly<Record<string, number>>): number {
  if (result.kind === 'plain') return rows * (result.stride ?? result.parts[0]!.count) + 3;
  if (result.kind === 'rope') return rows * result.heads * result.headDim;
  return rows * result.heads * sizes['capacity']! * result.headDim;
}
