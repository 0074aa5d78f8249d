// @ts-check
// Every change to a file system that pgconv makes goes through here, so that a test can make each fail once. Plain
// JavaScript because the writer's thread loads it as it stands, from the sources and from the build alike.
import { randomUUID } from 'node:crypto';
import * as fs from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';

/**
 * Which call fails, and how: the calls of all threads count on in `counter`.
 * @typedef {{ readonly counter: Int32Array, readonly failAt: number, readonly code: string }} Faults
 */

/** @type {Faults | undefined} */
let faults;

/** For tests: calls fail as `plan` says; undefined ends that. @param {Faults | undefined} plan */
export function setFaults(plan) {
  faults = plan;
}

/** What a thread that writes must be told, to go on counting. @returns {Faults | undefined} */
export function currentFaults() {
  return faults;
}

/** A call that may fail. @param {string} call @param {string} path */
function point(call, path) {
  if (!faults) return;
  const number = Atomics.add(faults.counter, 0, 1);
  if (number === faults.failAt)
    throw Object.assign(new Error(`${faults.code}: planted, ${call} '${path}'`), { code: faults.code, syscall: call });
}

/** A file that is written. Reads are for what was written before. */
export class DiskFile {
  /** @type {fs.FileHandle} */
  #handle;
  /** @readonly @type {string} */
  path;

  /** @param {string} path @param {fs.FileHandle} handle */
  constructor(path, handle) {
    this.path = path;
    this.#handle = handle;
  }

  /**
   * All of the bytes, however short each write stops: at `position`, or where the last one ended.
   * @param {Uint8Array} bytes @param {number} [position]
   */
  async write(bytes, position) {
    for (let at = 0; at < bytes.byteLength;) {
      point('write', this.path);
      const place = position === undefined ? null : position + at;
      const { bytesWritten } = await this.#handle.write(bytes, at, bytes.byteLength - at, place);
      if (bytesWritten === 0) throw Object.assign(new Error('the disk takes no more bytes'), { code: 'ENOSPC' });
      at += bytesWritten;
    }
  }

  /**
   * As a file handle reads.
   * @param {Uint8Array} into @param {number} offset @param {number} length @param {number} position
   * @returns {Promise<{ bytesRead: number }>}
   */
  read(into, offset, length, position) {
    return this.#handle.read(into, offset, length, position);
  }

  /** @returns {Promise<number>} bytes */
  async size() {
    return (await this.#handle.stat()).size;
  }

  /** @param {number} bytes */
  async truncate(bytes) {
    point('ftruncate', this.path);
    await this.#handle.truncate(bytes);
  }

  async datasync() {
    point('fdatasync', this.path);
    await this.#handle.datasync();
  }

  async sync() {
    point('fsync', this.path);
    await this.#handle.sync();
  }

  /** The handle is given back even where the system reports an error. */
  async close() {
    try {
      point('close', this.path);
    } finally {
      await this.#handle.close();
    }
  }
}

/**
 * Opens a file to write. @param {string} path
 * @param {'w' | 'wx' | 'wx+' | 'r+' | 'a'} flags as of fs.open
 * @param {number} [mode] as of fs.open
 * @returns {Promise<DiskFile>}
 */
export async function openFile(path, flags, mode) {
  point('open', path);
  return new DiskFile(path, await fs.open(path, flags, mode));
}

/** A new file with its content, on disk when this returns. @param {string} path @param {string | Uint8Array} content */
export async function createFile(path, content) {
  const file = await openFile(path, 'wx');
  try {
    await file.write(typeof content === 'string' ? Buffer.from(content) : content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Names of what this process has open, behind which lies whatever the shell put there. */
const OPENED = /^\/(?:dev\/(?:std(?:in|out|err)|fd\/\d+)|proc\/(?:self|thread-self|\d+)\/fd\/\d+)$/;

/** Links that one path may go through, as many as systems follow. */
const MOST_LINKS = 40;

/**
 * Where a path leads, whatever of it is there: links are followed, those to nothing too.
 * @param {string} path @returns {Promise<string>} absolute
 */
export async function placeOf(path, links = 0) {
  // not resolve(): behind a link, `..` is another folder than by letter
  const whole = isAbsolute(path) ? path : `${process.cwd()}/${path}`;
  if (OPENED.test(whole)) return whole;
  const real = await fs.realpath(whole).catch(() => undefined);
  if (real !== undefined) return real;
  const parent = dirname(whole);
  if (parent === whole) return whole;
  const target = await fs.readlink(whole).catch(() => undefined);
  if (target === undefined || links === MOST_LINKS) return join(await placeOf(parent, links), basename(whole));
  return placeOf(isAbsolute(target) ? target : join(await placeOf(parent, links), target), links + 1);
}

/**
 * Content in the place of what was there: whoever looks sees the old file or the new one, whenever the run ends. Behind
 * a link the file that it names is replaced; a device, a pipe or what this process has open is written to.
 * @param {string} path @param {string | Uint8Array} content
 */
export async function replaceFile(path, content) {
  const place = await placeOf(path);
  if (OPENED.test(place)) {
    point('open', place);
    return fs.writeFile(place, content, { flag: 'a' });
  }
  const stats = await fs.stat(place).catch(() => undefined);
  if (stats && !stats.isFile()) {
    point('open', place);
    return fs.writeFile(place, content);
  }
  const draft = draftOf(place);
  try {
    await createFile(draft, content);
    await renamePath(draft, place);
  } catch (error) {
    await fs.rm(draft, { force: true }).catch(() => {});
    throw error;
  }
}

/** A name beside a file that nothing has. @param {string} place */
function draftOf(place) {
  return join(dirname(place), `.${basename(place).slice(0, 100)}.${randomUUID()}.tmp`);
}

/**
 * Fails as replaceFile would, as far as that can be known before there is content; nothing stays. @param {string} path
 */
export async function tryReplace(path) {
  const place = await placeOf(path);
  const stats = await fs.stat(place).catch(() => undefined);
  if (stats?.isDirectory()) throw Object.assign(new Error(`a folder is at ${place}`), { code: 'EISDIR' });
  if (OPENED.test(place) || (stats && !stats.isFile())) return fs.access(place, fs.constants.W_OK);
  const draft = draftOf(place);
  try {
    await createFile(draft, '');
    // a name that is too long for the file is so for its draft only by chance
    if (!stats) await fs.stat(place).catch(unlessMissing);
  } finally {
    await fs.rm(draft, { force: true });
  }
}

/** @param {unknown} error */
function unlessMissing(error) {
  if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') throw error;
}

/** @param {string} path @param {string} text */
export async function appendText(path, text) {
  point('open', path);
  await fs.appendFile(path, text);
}

/**
 * With all folders above it. One by one: Node's own way never comes back where a file system, as Linux's /proc, says of
 * a folder that it does not take that another one is missing.
 * @param {string} path @returns {Promise<readonly string[]>} those that were made, the outermost first
 */
export async function makeFolders(path) {
  /** @type {string[]} */
  const missing = [];
  let folder = resolve(path);
  for (;;) {
    const stats = await fs.stat(folder).catch(() => undefined);
    if (stats && !stats.isDirectory()) throw Object.assign(new Error(`${folder} is a file`), { code: 'ENOTDIR' });
    if (stats || dirname(folder) === folder) break;
    missing.unshift(folder);
    folder = dirname(folder);
  }
  /** @type {string[]} */
  const made = [];
  for (const each of missing) {
    point('mkdir', each);
    try {
      await fs.mkdir(each);
      made.push(each);
    } catch (error) {
      // another run may have made it meanwhile
      const stats = await fs.stat(each).catch(() => undefined);
      if (!stats?.isDirectory()) throw error;
    }
  }
  return made;
}

/** One that must be new. @param {string} path */
export async function makeFolder(path) {
  point('mkdir', path);
  await fs.mkdir(path);
}

/** @param {string} prefix @returns {Promise<string>} a new folder whose name begins so */
export async function makeTempFolder(prefix) {
  point('mkdir', prefix);
  return fs.mkdtemp(prefix);
}

/** @param {string} from @param {string} to */
export async function renamePath(from, to) {
  point('rename', from);
  await fs.rename(from, to);
}

/** A second name of a file. @param {string} from @param {string} to */
export async function linkFile(from, to) {
  point('link', to);
  await fs.link(from, to);
}

/** A file or a folder with all in it; what is not there is removed already. @param {string} path */
export async function removePath(path) {
  point('rm', path);
  await fs.rm(path, { recursive: true, force: true });
}

/** A folder that is empty. @param {string} path */
export async function removeEmptyFolder(path) {
  point('rmdir', path);
  await fs.rmdir(path);
}

/** Says that a file is of now. @param {string} path */
export async function touchFile(path) {
  point('utimes', path);
  const now = new Date();
  await fs.utimes(path, now, now);
}

/** What systems say that cannot flush a folder. */
const NO_FOLDER_SYNC = new Set(['EINVAL', 'EPERM', 'EISDIR', 'EBADF', 'ENOTSUP']);

/** Makes the names in a folder durable, where the system can do that. @param {string} path */
export async function syncFolder(path) {
  point('fsync', path);
  const handle = await fs.open(path, 'r').catch(() => undefined);
  try {
    await handle?.sync();
  } catch (error) {
    if (!NO_FOLDER_SYNC.has(String(/** @type {NodeJS.ErrnoException} */ (error).code))) throw error;
  } finally {
    await handle?.close();
  }
}
