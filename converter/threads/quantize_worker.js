// @ts-check
// The thread that quantizes. Plain JavaScript, as all that it loads, so that it runs from the sources and from the
// build alike.
import { parentPort, workerData } from 'node:worker_threads';
import { factorInputs } from '../../ir/quantize/kernels/hessian.js';
import { jobRunner } from '../../ir/quantize/kernels/run_job.js';

/**
 * @typedef {import('./quantize_pool.ts').PoolReply} PoolReply
 * @typedef {import('../../ir/quantize/kernels/run_job.js').QuantizeJob} QuantizeJob
 * @typedef {import('../../ir/quantize/kernels/hessian.js').FactorJob} FactorJob
 * @typedef {import('../../ir/quantize/kernels/web_assembly.js').Module} Module
 */

const port = parentPort;
if (!port) throw new Error('quantize_worker.js runs as a worker thread');

const run = jobRunner(/** @type {{ module: Module | undefined }} */ (workerData).module);

/** @param {PoolReply} message @param {ArrayBufferView[]} given */
const reply = (message, given) =>
  port.postMessage(
    message,
    /** @type {ArrayBuffer[]} */ (given.map((view) => view.buffer)),
  );

port.on('message', (/** @type {QuantizeJob | FactorJob} */ job) => {
  try {
    if ('inputs' in job) return reply({ result: factorInputs(job) }, []);
    const result = run(job);
    if (result.fault) reply({ result }, []);
    else reply({ result }, [result.q, result.choices.scales, ...(result.choices.zeros ? [result.choices.zeros] : [])]);
  } catch (error) {
    reply({ error: /** @type {Error} */ (error) }, []);
  }
});
