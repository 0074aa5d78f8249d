// @ts-check

/** Part of the mean of the diagonal that is added to it (arXiv:2210.17323, section 3.3 step 3). */
const DAMPING = 0.01;

/**
 * What GPTQ needs of the Hessian of some columns of a matrix, in memory that threads can share.
 * @typedef {object} HessianPart
 * @property {Uint32Array} order the columns by what an error in them costs, H_kk, the dearest first: those that come
 * later take up its error
 * @property {Float64Array} upper U [K, K], upper triangular with Uᵀ U = H⁻¹ of the damped Hessian, its columns in order
 * @property {Float64Array} costs of an error in each column when those behind it make the best of it: 1 / U_pp²
 */

/**
 * Inputs [rows, columns] of a layer.
 * @typedef {{ inputs: Float32Array, columns: number }} FactorJob
 */

/**
 * XᵀX of inputs, and what follows of it.
 * @param {FactorJob} job
 * @returns {HessianPart | undefined} undefined for what is not positive definite
 */
export function factorInputs({ inputs, columns }) {
  return factorHessian(gram(inputs, columns), columns);
}

/**
 * H = XᵀX (or its mean), [K, K] row by row, of which the lower triangle is read; its scale does not matter. Inputs that
 * never occurred (H_kk = 0) count as independent. Columns in reverse: H = R Rᵀ of an upper triangular R is a Cholesky
 * decomposition, and U = R⁻¹. K³/3 products.
 * @param {ArrayLike<number>} hessian
 * @param {number} n
 * @returns {HessianPart | undefined}
 */
export function factorHessian(hessian, n) {
  const upper = new Float64Array(new SharedArrayBuffer(8 * n * n));
  const diagonal = Float64Array.from({ length: n }, (_, i) => /** @type {number} */ (hessian[i * n + i]));
  const order = new Uint32Array(new SharedArrayBuffer(4 * n));
  const cost = (/** @type {number} */ k) => /** @type {number} */ (diagonal[k]);
  order.set(Uint32Array.from(diagonal.keys()).sort((a, b) => cost(b) - cost(a) || a - b));
  const mean = diagonal.reduce((sum, x) => sum + x, 0) / n || 1;
  for (let i = 0; i < n; i++) {
    const k = /** @type {number} */ (order[i]);
    if (cost(k) === 0) upper[i * n + i] = mean;
    else
      for (let j = i; j < n; j++) {
        const l = /** @type {number} */ (order[j]);
        upper[i * n + j] = /** @type {number} */ (hessian[Math.max(k, l) * n + Math.min(k, l)]);
      }
    upper[i * n + i] = /** @type {number} */ (upper[i * n + i]) + DAMPING * mean;
  }
  if (!decompose(upper, n)) return undefined;
  invert(upper, n);
  const costs = new Float64Array(new SharedArrayBuffer(8 * n));
  for (let i = 0; i < n; i++)
    costs[/** @type {number} */ (order[i])] = 1 / /** @type {number} */ (upper[i * n + i]) ** 2;
  return { order, upper, costs };
}

/** Rows whose products are added together: a sum is read and written once for all. */
const TOGETHER = 4;

/** The lower triangle of XᵀX. @param {Float32Array} x @param {number} n @returns {Float64Array} */
function gram(x, n) {
  const h = new Float64Array(n * n);
  const whole = TOGETHER * n;
  const rows = new Float32Array(Math.ceil(x.length / whole) * whole);
  rows.set(x);
  for (let at = 0; at < rows.length; at += whole) {
    const [a, b, c, d] = [0, 1, 2, 3].map((r) => rows.subarray(at + r * n, at + (r + 1) * n));
    if (a && b && c && d) addProducts(h, n, a, b, c, d);
  }
  return h;
}

/**
 * @param {Float64Array} h
 * @param {number} n
 * @param {Float32Array} a
 * @param {Float32Array} b
 * @param {Float32Array} c
 * @param {Float32Array} d
 */
function addProducts(h, n, a, b, c, d) {
  for (let i = 0; i < n; i++) {
    const [ai, bi, ci, di] = [
      /** @type {number} */ (a[i]),
      /** @type {number} */ (b[i]),
      /** @type {number} */ (c[i]),
      /** @type {number} */ (d[i]),
    ];
    if (ai === 0 && bi === 0 && ci === 0 && di === 0) continue;
    for (let j = 0, at = i * n; j <= i; j++, at++)
      h[at] =
        /** @type {number} */ (h[at]) +
        (ai * /** @type {number} */ (a[j]) +
          bi * /** @type {number} */ (b[j]) +
          (ci * /** @type {number} */ (c[j]) + di * /** @type {number} */ (d[j])));
  }
}

/**
 * The upper triangle of H becomes R, H = R Rᵀ, from the last column to the first. False when H is not positive
 * definite.
 * @param {Float64Array} a
 * @param {number} n
 */
function decompose(a, n) {
  for (let i = n - 1; i >= 0; i--) {
    // row i of H less what the columns behind explain: entries from the diagonal to the right are final for i, those
    // above it follow
    for (let j = n - 1; j >= i; j--) {
      const sum = /** @type {number} */ (a[i * n + j]) - dot(a, i * n, j * n, j + 1, n);
      if (j > i) a[i * n + j] = sum / /** @type {number} */ (a[j * n + j]);
      else if (sum > 0 && sum < Infinity) a[i * n + i] = Math.sqrt(sum);
      else return false;
    }
  }
  return true;
}

/**
 * Σ of a[x + k] a[y + k] for k in [from, to), in four sums.
 * @param {Float64Array} a
 * @param {number} x
 * @param {number} y
 * @param {number} from
 * @param {number} to
 */
function dot(a, x, y, from, to) {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let k = from;
  for (; k + 4 <= to; k += 4) {
    s0 += /** @type {number} */ (a[x + k]) * /** @type {number} */ (a[y + k]);
    s1 += /** @type {number} */ (a[x + k + 1]) * /** @type {number} */ (a[y + k + 1]);
    s2 += /** @type {number} */ (a[x + k + 2]) * /** @type {number} */ (a[y + k + 2]);
    s3 += /** @type {number} */ (a[x + k + 3]) * /** @type {number} */ (a[y + k + 3]);
  }
  for (; k < to; k++) s0 += /** @type {number} */ (a[x + k]) * /** @type {number} */ (a[y + k]);
  return s0 + s1 + (s2 + s3);
}

/**
 * R becomes R⁻¹, from the last row to the first: a row of the inverse is a sum of those below it.
 * @param {Float64Array} a
 * @param {number} n
 */
function invert(a, n) {
  const row = new Float64Array(n);
  for (let i = n - 1; i >= 0; i--) {
    row.set(a.subarray(i * n + i, (i + 1) * n), i);
    const scale = 1 / /** @type {number} */ (row[i]);
    a.fill(0, i * n + i, (i + 1) * n);
    a[i * n + i] = scale;
    for (let k = i + 1; k < n; k++) {
      const factor = -(/** @type {number} */ (row[k])) * scale;
      if (factor !== 0)
        for (let j = k; j < n; j++)
          a[i * n + j] = /** @type {number} */ (a[i * n + j]) + factor * /** @type {number} */ (a[k * n + j]);
    }
  }
}
