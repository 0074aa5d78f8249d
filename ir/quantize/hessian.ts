import { QuantizeError } from './error.ts';

/** What GPTQ needs of a Hessian, in memory that threads can share. */
export interface HessianFactor {
  readonly columns: number;
  /** The columns by what an error in them costs, H_kk, the dearest first: those that come later take up its error. */
  readonly order: Uint32Array;
  /** U [K, K], upper triangular with Uᵀ U = H⁻¹ of the damped Hessian, its columns in that order. */
  readonly upper: Float64Array;
  /**
   * What an error in each column costs when those behind it in order make the best of it: 1 / U_pp². The search for
   * scales weighs by it.
   */
  readonly costs: Float64Array;
}

/** 288 MiB for the factor, and as much for the Hessian while it is made: what fits beside the rest in 1 GiB. */
export const MAX_GPTQ_COLUMNS = 6144;

/** Part of the mean of the diagonal that is added to it (arXiv:2210.17323, section 3.3 step 3). */
const DAMPING = 0.01;

/**
 * What GPTQ needs of H = XᵀX (or its mean) of a layer's inputs, [K, K] row by row, symmetric; its scale does not
 * matter. Inputs that never occurred (H_kk = 0) count as independent. Columns in reverse: H = R Rᵀ of an upper
 * triangular R is a Cholesky decomposition, and U = R⁻¹. K³/3 products twice: seconds for K = 2048. One factor serves
 * all matrices with the same input (q, k and v).
 * @throws QuantizeError `hessian`: not K², K beyond MAX_GPTQ_COLUMNS, not finite, or not positive definite in spite of
 * damping
 */
export function factorHessian(hessian: ArrayLike<number>, columns: number): HessianFactor {
  const refuse = (message: string, hint: string): never => {
    throw new QuantizeError('hessian', message, hint);
  };
  if (columns > MAX_GPTQ_COLUMNS)
    return refuse(
      `a Hessian of ${columns} columns: GPTQ takes at most ${MAX_GPTQ_COLUMNS}`,
      'quantize this weight by search with importance',
    );
  if (hessian.length !== columns * columns)
    return refuse(
      `a Hessian of ${hessian.length} numbers for ${columns} columns`,
      'calibrate again with this checkpoint',
    );
  const n = columns;
  const upper = new Float64Array(new SharedArrayBuffer(8 * n * n));
  const diagonal = Float64Array.from({ length: n }, (_, i) => hessian[i * n + i]!);
  const order = new Uint32Array(new SharedArrayBuffer(4 * n));
  order.set(Uint32Array.from(diagonal.keys()).sort((a, b) => diagonal[b]! - diagonal[a]! || a - b));
  const mean = diagonal.reduce((sum, x) => sum + x, 0) / n || 1;
  for (let i = 0; i < n; i++) {
    const at = order[i]!;
    if (diagonal[at] === 0) upper[i * n + i] = mean;
    else for (let j = i; j < n; j++) upper[i * n + j] = hessian[at * n + order[j]!]!;
    upper[i * n + i]! += DAMPING * mean;
  }
  if (!decompose(upper, n)) return refuse('a Hessian that is not positive definite', 'calibrate with more inputs');
  invert(upper, n);
  const costs = new Float64Array(n);
  for (let i = 0; i < n; i++) costs[order[i]!] = 1 / upper[i * n + i]! ** 2;
  return { columns, order, upper, costs };
}

/**
 * The upper triangle of H becomes R, H = R Rᵀ, from the last column to the first. False when H is not positive
 * definite.
 */
function decompose(a: Float64Array, n: number): boolean {
  for (let i = n - 1; i >= 0; i--) {
    // row i of H less what the columns behind explain: entries from the diagonal to the right are final for i, those
    // above it follow
    for (let j = n - 1; j >= i; j--) {
      const sum = a[i * n + j]! - dot(a, i * n, j * n, j + 1, n);
      if (j > i) a[i * n + j] = sum / a[j * n + j]!;
      else if (sum > 0 && sum < Infinity) a[i * n + i] = Math.sqrt(sum);
      else return false;
    }
  }
  return true;
}

/** Σ of a[x + k] a[y + k] for k in [from, to), in four sums. */
function dot(a: Float64Array, x: number, y: number, from: number, to: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  let k = from;
  for (; k + 4 <= to; k += 4) {
    s0 += a[x + k]! * a[y + k]!;
    s1 += a[x + k + 1]! * a[y + k + 1]!;
    s2 += a[x + k + 2]! * a[y + k + 2]!;
    s3 += a[x + k + 3]! * a[y + k + 3]!;
  }
  for (; k < to; k++) s0 += a[x + k]! * a[y + k]!;
  return s0 + s1 + (s2 + s3);
}

/** R becomes R⁻¹, from the last row to the first: a row of the inverse is a sum of those below it. */
function invert(a: Float64Array, n: number): void {
  const row = new Float64Array(n);
  for (let i = n - 1; i >= 0; i--) {
    row.set(a.subarray(i * n + i, (i + 1) * n), i);
    const scale = 1 / row[i]!;
    a.fill(0, i * n + i, (i + 1) * n);
    a[i * n + i] = scale;
    for (let k = i + 1; k < n; k++) {
      const factor = -row[k]! * scale;
      if (factor !== 0) for (let j = k; j < n; j++) a[i * n + j]! += factor * a[k * n + j]!;
    }
  }
}
