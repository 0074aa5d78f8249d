// @ts-check
// The thread that hashes, scans and writes what the main thread makes. Plain JavaScript: see scan_nonfinite.js.
import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { openFile, setFaults, syncFolder } from '../disk.js';
import { scanNonFinite } from './scan_nonfinite.js';

/**
 * @typedef {import('./file_writer.ts').WriterRequest} WriterRequest
 * @typedef {import('./file_writer.ts').WriterReply} WriterReply
 * @typedef {import('./journal.ts').JournalLine} JournalLine
 * @typedef {{ name: string, disk: import('../disk.js').DiskFile, hash: import('node:crypto').Hash, bytes: number,
 * flushedAt: number, toldAt: number, isFinite: boolean }} OpenFile
 */

const port = parentPort;
if (!port) throw new Error('write_worker.js runs as a worker thread');
const { journal: journalPath, flushBytes, faults } = /** @type {import('./file_writer.ts').WriterData} */ (workerData);
setFaults(faults);

/** Of flushBytes: what may have been written and not be in the journal. With what is in flight that is under 256 MB. */
const MOST_AHEAD = 3.5;

/** Of a file that is gone on with. */
const READ_BYTES = 4 * 1024 * 1024;

/** @type {OpenFile | undefined} */
let file;
let path = '';
/** Requests are handled one after another. */
let tail = Promise.resolve();
/** Flushes under way, and those that are over. @type {Promise<void>[]} */
let flushes = [];
/**
 * Of files that are flushed so far, and the folders that have their names.
 * @type {{ line: JournalLine, folder: string }[]}
 */
let lines = [];
let linesBytes = 0;
/** Written, and in no line of the journal. */
let ahead = 0;
let writing = Promise.resolve();

/** @param {WriterReply} message */
const reply = (message) => port.postMessage(message);

/** @param {unknown} error @param {string} [where] */
const fail = (error, where = path) => {
  const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
  reply({ kind: 'failed', path: where, code, message });
};

port.on('message', (/** @type {WriterRequest} */ request) => {
  tail = tail.then(() => handle(request)).catch((error) => fail(error));
});

/** @param {WriterRequest} request */
async function handle(request) {
  switch (request.kind) {
    case 'open':
      return open(request);
    case 'chunk':
      return chunk(request);
    case 'close':
      close();
  }
}

/** @param {Extract<WriterRequest, { kind: 'open' }>} request */
async function open({ path: asked, name, flushed }) {
  path = asked;
  const disk = await openFile(path, flushed.length === 0 ? 'wx' : 'r+');
  file = { name, disk, hash: createHash('sha256'), bytes: 0, flushedAt: 0, toldAt: 0, isFinite: true };
  if (flushed.length > 0) await goOn(file, flushed);
  reply({ kind: 'opened', path, bytes: file.bytes });
}

/**
 * Goes on behind the last place up to which the file is what the journal says.
 * @param {OpenFile} opened @param {readonly import('./journal.ts').FlushedTo[]} flushed
 */
async function goOn(opened, flushed) {
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  const hash = createHash('sha256');
  let at = 0;
  for (const place of flushed) {
    while (at < place.bytes) {
      const { bytesRead } = await opened.disk.read(buffer, 0, Math.min(READ_BYTES, place.bytes - at), at);
      if (bytesRead === 0) break;
      hash.update(buffer.subarray(0, bytesRead));
      at += bytesRead;
      reply({ kind: 'reread', bytes: bytesRead });
    }
    if (at < place.bytes || hash.copy().digest('hex') !== place.sha256) break;
    opened.hash = hash.copy();
    opened.bytes = opened.flushedAt = opened.toldAt = at;
  }
  await opened.disk.truncate(opened.bytes);
}

/**
 * The write runs in the thread pool while this thread hashes and scans.
 * @param {Extract<WriterRequest, { kind: 'chunk' }>} request
 */
async function chunk({ bytes, tensor }) {
  if (!file) throw new Error('no file is open');
  const written = file.disk.write(bytes, file.bytes);
  written.catch(() => {});
  file.hash.update(bytes);
  const counts = tensor && scanNonFinite(bytes, tensor.dtype);
  await written;
  file.bytes += bytes.byteLength;
  ahead += bytes.byteLength;
  if (tensor && counts && (counts.infinite > 0 || counts.nan > 0)) {
    // what was found is not in the journal: such a file is written again from its beginning
    file.isFinite = false;
    reply({ kind: 'nonfinite', path, tensor, ...counts });
  }
  if (file.bytes - file.flushedAt >= flushBytes) {
    const { disk } = file;
    file.flushedAt = file.bytes;
    flush(disk.datasync(), lineOf(file, file.hash.copy()));
  }
  reply({ kind: 'written', bytes: bytes.byteLength });
  if (ahead > MOST_AHEAD * flushBytes) {
    await Promise.all(flushes);
    flushes = [];
    await writeLines();
  }
}

/**
 * How far a file is, and how many bytes of it no line has told before.
 * @param {OpenFile} opened @param {import('node:crypto').Hash} hash
 */
function lineOf(opened, hash) {
  const told = opened.bytes - opened.toldAt;
  opened.toldAt = opened.bytes;
  const line = { file: opened.name, bytes: opened.bytes, sha256: hash.digest('hex') };
  return { line, told, isFinite: opened.isFinite, folder: dirname(path), path };
}

/**
 * Waits for a flush in the background, and tells the journal of it.
 * @param {Promise<void>} flushed
 * @param {ReturnType<typeof lineOf>} found
 */
function flush(flushed, found) {
  flushes.push(tellWhen(flushed, found).catch((error) => fail(error, found.path)));
}

/** @param {Promise<void>} flushed @param {ReturnType<typeof lineOf>} found */
async function tellWhen(flushed, { line, told, isFinite, folder }) {
  await flushed;
  if (journalPath === undefined || !isFinite) {
    ahead -= told;
    return;
  }
  lines.push({ line, folder });
  linesBytes += told;
  // of many small files not each is worth a flush of the journal
  if (linesBytes >= flushBytes) await writeLines();
}

/** A line counts when the names in its folder, and then itself, are on disk. Lines are written in order. */
function writeLines() {
  writing = writing.then(writeDueLines);
  return writing;
}

async function writeDueLines() {
  if (lines.length === 0 || journalPath === undefined) return;
  const [due, bytes] = [lines, linesBytes];
  [lines, linesBytes] = [[], 0];
  for (const folder of new Set(due.map(({ folder }) => folder))) await syncFolder(folder);
  const journal = await openFile(journalPath, 'a');
  try {
    await journal.write(Buffer.from(due.map(({ line }) => `${JSON.stringify(line)}\n`).join('')));
    await journal.datasync();
  } finally {
    await journal.close();
  }
  ahead -= bytes;
}

/** Flushes in the background: the next file is written meanwhile. */
function close() {
  if (!file) throw new Error('no file is open');
  const { disk } = file;
  const found = lineOf(file, file.hash);
  const closed = path;
  file = undefined;
  const onDisk = async () => {
    try {
      await disk.sync();
    } finally {
      await disk.close();
    }
    reply({ kind: 'closed', path: closed, bytes: found.line.bytes, sha256: found.line.sha256 });
  };
  flush(onDisk(), found);
}
