// @ts-check
// The thread that hashes files. Plain JavaScript, so that it loads from the sources and from the build alike.
import { createHash } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { crc32 } from 'node:zlib';
import { openRegular } from '../../backends/regular_file.js';

/**
 * @typedef {import('./hash_files.ts').HashReply} HashReply
 * @typedef {import('./hash_files.ts').HashRequest} HashRequest
 */

const port = parentPort;
if (!port) throw new Error('hash_worker.js runs as a worker thread');

const { paths, sumBytes } = /** @type {HashRequest} */ (workerData);
const READ_BYTES = 2 * 1024 * 1024;

/** @param {HashReply} message */
const reply = (message) => port.postMessage(message);

/** CRC-32 of every `sumBytes` bytes of what is added, however it is cut; none where nobody asked. */
function blockSums() {
  /** @type {number[]} */
  const sums = [];
  let [crc, filled] = [0, 0];
  return {
    /** @param {Uint8Array} bytes */
    add(bytes) {
      if (sumBytes === undefined) return;
      for (let at = 0; at < bytes.length;) {
        const part = bytes.subarray(at, at + sumBytes - filled);
        crc = crc32(part, crc);
        at += part.length;
        filled += part.length;
        if (filled < sumBytes) return;
        sums.push(crc);
        [crc, filled] = [0, 0];
      }
    },
    all: () => Uint32Array.from(filled === 0 ? sums : [...sums, crc]),
  };
}

/**
 * Reads the next block while this one is hashed.
 * @param {string} path
 */
async function hashFile(path) {
  const handle = await openRegular(path);
  let at = 0;
  try {
    const hash = createHash('sha256');
    const blocks = blockSums();
    const buffers = [Buffer.allocUnsafeSlow(READ_BYTES), Buffer.allocUnsafeSlow(READ_BYTES)];
    /** @param {number} turn @param {number} offset */
    const read = (turn, offset) => handle.read(/** @type {Buffer} */ (buffers[turn % 2]), 0, READ_BYTES, offset);
    let next = read(0, 0);
    for (let turn = 1; ; turn++) {
      const { bytesRead, buffer } = await next;
      if (bytesRead === 0) break;
      at += bytesRead;
      next = read(turn, at);
      next.catch(() => {});
      hash.update(buffer.subarray(0, bytesRead));
      blocks.add(buffer.subarray(0, bytesRead));
      reply({ kind: 'read', bytes: bytesRead });
    }
    reply({ kind: 'hashed', path, bytes: at, sha256: hash.digest('hex'), blocks: blocks.all() });
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    reply({ kind: 'failed', path, offset: at, code, message });
  } finally {
    await handle.close();
  }
}

for (const path of paths) {
  try {
    await hashFile(path);
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    reply({ kind: 'failed', path, offset: 0, code, message });
    break;
  }
}
