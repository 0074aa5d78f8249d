// @ts-check
// How files are opened to be read: verify/environment/reads.test.ts looks for other ways. Plain JavaScript because the
// thread that hashes loads it as it stands, from the sources and from the build alike.
import { closeSync, constants, fstatSync, openSync, statSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';

/** What lies at the path is no regular file. */
export class NotRegular extends Error {
  /** What lies there, in words. @readonly @type {string} */
  kind;

  /** @param {string} kind */
  constructor(kind) {
    super(`expected a regular file, found ${kind}`);
    this.name = 'NotRegular';
    this.kind = kind;
  }
}

/**
 * What lies at a path that is no regular file, in words.
 * @param {import('node:fs').StatsBase<number | bigint>} stats
 */
export function kindOf(stats) {
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a FIFO';
  if (stats.isSocket()) return 'a socket';
  return stats.isCharacterDevice() || stats.isBlockDevice() ? 'a device' : 'no regular file';
}

/**
 * Looks before it opens, for that alone rewinds a tape; and again behind it, with a flag by which a FIFO that took the
 * file's place meanwhile waits for no writer.
 * @param {string} path
 * @returns {Promise<import('node:fs/promises').FileHandle>}
 * @throws NotRegular, or what the system says
 */
export async function openRegular(path) {
  const before = await stat(path);
  if (!before.isFile()) throw new NotRegular(kindOf(before));
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const opened = await handle.stat();
    if (!opened.isFile()) throw new NotRegular(kindOf(opened));
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * The same, which waits. @param {string} path @returns {number} a descriptor, for closeSync
 * @throws NotRegular, or what the system says
 */
export function openRegularSync(path) {
  const before = statSync(path);
  if (!before.isFile()) throw new NotRegular(kindOf(before));
  const handle = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  const opened = fstatSync(handle);
  if (opened.isFile()) return handle;
  closeSync(handle);
  throw new NotRegular(kindOf(opened));
}

/**
 * All bytes of a small file.
 * @param {string} path @param {number} maxBytes of a file that is larger nothing is read
 * @returns {Promise<Uint8Array>}
 * @throws NotRegular, a RangeError for a larger file, or what the system says
 */
export async function readRegular(path, maxBytes) {
  const handle = await openRegular(path);
  try {
    const { size } = await handle.stat();
    if (size > maxBytes) throw new RangeError(`a file of ${size} bytes where at most ${maxBytes} are expected`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}

/**
 * The same as text: bytes that are no UTF-8 are told by what reads it.
 * @param {string} path @param {number} maxBytes
 * @returns {Promise<string>}
 */
export async function readRegularText(path, maxBytes) {
  return Buffer.from(await readRegular(path, maxBytes)).toString('utf8');
}
