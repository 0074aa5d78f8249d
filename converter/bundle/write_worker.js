// @ts-check
// The thread that hashes, scans and writes what the main thread makes. Plain JavaScript: see scan_nonfinite.js.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { parentPort } from 'node:worker_threads';
import { scanNonFinite } from './scan_nonfinite.js';

/**
 * @typedef {import('./file_writer.ts').WriterRequest} WriterRequest
 * @typedef {import('./file_writer.ts').WriterReply} WriterReply
 * @typedef {{ handle: import('node:fs/promises').FileHandle, hash: import('node:crypto').Hash, bytes: number,
 * flushedAt: number, flushing: Promise<void> }} OpenFile
 */

const port = parentPort;
if (!port) throw new Error('write_worker.js runs as a worker thread');

/** Dirty bytes after which the disk is asked to start, so that the last flush is short. */
const FLUSH_BYTES = 256 * 1024 * 1024;

/** @type {OpenFile | undefined} */
let file;
let path = '';
/** Requests are handled one after another. */
let tail = Promise.resolve();

/** @param {WriterReply} message */
const reply = (message) => port.postMessage(message);

/** @param {unknown} error */
const fail = (error) => {
  const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
  reply({ kind: 'failed', path, code, message });
};

port.on('message', (/** @type {WriterRequest} */ request) => {
  tail = tail.then(() => handle(request)).catch(fail);
});

/** @param {WriterRequest} request */
async function handle(request) {
  switch (request.kind) {
    case 'open':
      path = request.path;
      file = {
        handle: await open(path, 'wx'),
        hash: createHash('sha256'),
        bytes: 0,
        flushedAt: 0,
        flushing: Promise.resolve(),
      };
      return;
    case 'chunk':
      return chunk(request);
    case 'close':
      close();
  }
}

/**
 * The write runs in the thread pool while this thread hashes and scans.
 * @param {Extract<WriterRequest, { kind: 'chunk' }>} request
 */
async function chunk({ bytes, tensor }) {
  if (!file) throw new Error('no file is open');
  const written = writeAll(file.handle, bytes);
  written.catch(() => {});
  file.hash.update(bytes);
  const counts = tensor && scanNonFinite(bytes, tensor.dtype);
  await written;
  file.bytes += bytes.byteLength;
  if (file.bytes - file.flushedAt >= FLUSH_BYTES) {
    const { handle, flushing } = file;
    file.flushedAt = file.bytes;
    file.flushing = flushing.then(() => handle.datasync());
    file.flushing.catch(() => {});
  }
  if (tensor && counts && (counts.infinite > 0 || counts.nan > 0))
    reply({ kind: 'nonfinite', path, tensor, ...counts });
  reply({ kind: 'written', bytes: bytes.byteLength });
}

/**
 * A write may stop short.
 * @param {import('node:fs/promises').FileHandle} handle
 * @param {Uint8Array} bytes
 */
async function writeAll(handle, bytes) {
  for (let at = 0; at < bytes.byteLength;) {
    const { bytesWritten } = await handle.write(bytes, at, bytes.byteLength - at);
    if (bytesWritten === 0) throw Object.assign(new Error('the disk takes no more bytes'), { code: 'ENOSPC' });
    at += bytesWritten;
  }
}

/** Flushes in the background: the next file is written meanwhile. */
function close() {
  if (!file) throw new Error('no file is open');
  const { handle, hash, bytes, flushing } = file;
  const closed = path;
  file = undefined;
  flushing
    .then(() => handle.sync())
    // oxlint-disable-next-line typescript/no-misused-promises -- finally waits for the promise
    .finally(() => handle.close())
    .then(() => reply({ kind: 'closed', path: closed, bytes, sha256: hash.digest('hex') }), fail);
}
