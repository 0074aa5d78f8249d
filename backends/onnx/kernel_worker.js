// @ts-check
// The thread that computes for the reference. Plain JavaScript, so that it runs from the sources and the build alike.
import { parentPort, workerData } from 'node:worker_threads';
import ort from 'onnxruntime-node';

/**
 * @typedef {import('./kernel_thread.ts').KernelRequest} KernelRequest
 * @typedef {import('./kernel_thread.ts').Product} Product
 * @typedef {import('./kernel_thread.ts').KernelModels} KernelModels
 * @typedef {import('onnxruntime-node').InferenceSession} InferenceSession
 */

const port = parentPort;
if (!port) throw new Error('kernel_worker.js runs as a worker thread');
const { rows, columns, tanh: tanhs, threads } = /** @type {KernelModels} */ (workerData);

/** @param {Uint8Array} model @returns {Promise<InferenceSession>} */
const sessionOf = (model) =>
  ort.InferenceSession.create(model, {
    executionProviders: ['cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 4,
    // threads that wait for the next block would take time from whoever makes it
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  });
const sessions = { rows: sessionOf(rows), columns: sessionOf(columns), tanh: sessionOf(tanhs) };

/** Left operands that several products have, by their number. @type {Map<number, Float32Array>} */
const lefts = new Map();

/** @param {Float32Array} data @param {readonly number[]} shape */
const tensor = (data, shape) => new ort.Tensor('float32', data, shape);

/** @param {Extract<KernelRequest, { kind: 'block' }>} request */
async function block({ left, m, k, n, b, y }) {
  const a = tensor(/** @type {Float32Array} */ (lefts.get(left)), [m, k]);
  await (await sessions.rows).run({ a, b: tensor(b, [n, k]) }, { y: new ort.Tensor('float64', y, [m, n]) });
  return { y, b };
}

/** @param {Extract<KernelRequest, { kind: 'matmul' }>} request */
async function matmul({ x, y, m, k, n, step, pairs }) {
  const data = new Float64Array((pairs.length / 2) * m * n);
  for (let pair = 0; pair < pairs.length / 2; pair++) {
    const [atX, atY] = [/** @type {number} */ (pairs[2 * pair]), /** @type {number} */ (pairs[2 * pair + 1])];
    const matrix = tensor(y.subarray(atY * k * n, (atY + 1) * k * n), [k, n]);
    for (let first = 0; first < m; first += step) {
      const end = Math.min(m, first + step);
      const part = tensor(x.subarray((atX * m + first) * k, (atX * m + end) * k), [end - first, k]);
      const result = data.subarray((pair * m + first) * n, (pair * m + end) * n);
      const y = new ort.Tensor('float64', result, [end - first, n]);
      await (await sessions.columns).run({ a: part, b: matrix }, { y });
    }
  }
  return { y: data };
}

/** @param {Extract<KernelRequest, { kind: 'tanh' }>} request */
async function tanh({ b, y }) {
  const a = tensor(b, [b.length]);
  await (await sessions.tanh).run({ a }, { y: new ort.Tensor('float64', y, [y.length]) });
  return { y, b };
}

/** @typedef {Exclude<KernelRequest, { kind: 'left' | 'forget' }>} Asked */

/** @param {Asked} request @returns {Promise<Product>} */
const answer = (request) =>
  request.kind === 'block' ? block(request) : request.kind === 'tanh' ? tanh(request) : matmul(request);

/** Requests are answered in their order. @type {Promise<unknown>} */
let last = Promise.resolve();

port.on('message', (/** @type {KernelRequest} */ request) => {
  if (request.kind === 'left') return void lefts.set(request.left, request.a);
  if (request.kind === 'forget') {
    last = last.then(() => lefts.delete(request.left));
    return;
  }
  last = last.then(() => reply(request));
});

/** @param {Asked} request */
async function reply(request) {
  try {
    const result = await answer(request);
    const memory = [result.y.buffer, ...(result.b ? [result.b.buffer] : [])];
    port?.postMessage({ id: request.id, ...result }, memory);
  } catch (error) {
    port?.postMessage({ id: request.id, error });
  }
}
