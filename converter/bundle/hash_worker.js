// @ts-check
// The thread that hashes files. Plain JavaScript, so that it loads from the sources and from the build alike.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';

/** @typedef {import('./hash_files.ts').HashReply} HashReply */

const port = parentPort;
if (!port) throw new Error('hash_worker.js runs as a worker thread');

const BLOCK_BYTES = 2 * 1024 * 1024;

/** @param {HashReply} message */
const reply = (message) => port.postMessage(message);

/**
 * Reads the next block while this one is hashed.
 * @param {string} path
 */
async function hashFile(path) {
  const handle = await open(path, 'r');
  let at = 0;
  try {
    const hash = createHash('sha256');
    const buffers = [Buffer.allocUnsafeSlow(BLOCK_BYTES), Buffer.allocUnsafeSlow(BLOCK_BYTES)];
    /** @param {number} turn @param {number} offset */
    const read = (turn, offset) => handle.read(/** @type {Buffer} */ (buffers[turn % 2]), 0, BLOCK_BYTES, offset);
    let next = read(0, 0);
    for (let turn = 1; ; turn++) {
      const { bytesRead, buffer } = await next;
      if (bytesRead === 0) break;
      at += bytesRead;
      next = read(turn, at);
      next.catch(() => {});
      hash.update(buffer.subarray(0, bytesRead));
      reply({ kind: 'read', bytes: bytesRead });
    }
    reply({ kind: 'hashed', path, bytes: at, sha256: hash.digest('hex') });
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    reply({ kind: 'failed', path, offset: at, code, message });
  } finally {
    await handle.close();
  }
}

for (const path of /** @type {readonly string[]} */ (workerData)) {
  try {
    await hashFile(path);
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    reply({ kind: 'failed', path, offset: 0, code, message });
    break;
  }
}
