import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { BadInputError, UsageError } from '../errors.ts';
import type { FileFacts, FilePool } from './file_pool.ts';
import { kindOf, NotRegular } from '../../backends/regular_file.js';
import { chunksAhead, fillExactly, readExactly } from './range_reads.ts';
import { ReadSums } from './read_sums.ts';

/** A regular file that is read by byte range and must stay as it was when it was opened. */
export class InputFile {
  readonly path: string;
  /** Its own, without its folder. */
  readonly name: string;
  readonly byteLength: number;
  /** What the file system said of it: other than of any file that took its place, or of a new content. */
  readonly fingerprint: string;
  readonly #stats: FileFacts;
  readonly #pool: FilePool;
  readonly #sums: ReadSums;
  #hashed: Uint32Array | undefined;

  private constructor(path: string, stats: FileFacts, pool: FilePool) {
    this.path = path;
    this.name = basename(path);
    this.byteLength = Number(stats.size);
    this.fingerprint = [stats.dev, stats.ino, stats.size, stats.mtimeNs, stats.ctimeNs].join(':');
    this.#stats = stats;
    this.#pool = pool;
    this.#sums = new ReadSums(this.byteLength);
  }

  /**
   * @throws BadInputError when it is not a regular file (a FIFO or a device is never opened), UsageError when it is
   * absent.
   */
  static async open(path: string, pool: FilePool): Promise<InputFile> {
    const stats = await stat(path, { bigint: true }).catch((cause: unknown) => {
      throw readFailure(path, cause);
    });
    if (!stats.isFile()) throw notRegular(path, kindOf(stats));
    if (stats.size > BigInt(Number.MAX_SAFE_INTEGER))
      throw new BadInputError('file_too_large', `the file claims ${stats.size} bytes`, { file: path });
    return new InputFile(path, stats, pool);
  }

  /** Bytes [begin, end) in an array of their own. @throws BadInputError when the file ends early or cannot be read. */
  async read(begin: number, end: number): Promise<Uint8Array> {
    return this.#taken(
      begin,
      await this.#reading(begin, (handle, atEnd) => readExactly(handle, begin, end, atEnd), end),
    );
  }

  /** Bytes from `begin` on into memory that is there. @throws BadInputError as `read` does */
  async readInto(out: Uint8Array, begin: number): Promise<void> {
    const end = begin + out.byteLength;
    await this.#reading(begin, (handle, atEnd) => fillExactly(handle, out, begin, atEnd), end);
    this.#taken(begin, out);
  }

  /** All of it. @throws BadInputError `file_too_large` for more than `maxBytes`, and as `read` does */
  readAll(maxBytes: number): Promise<Uint8Array> {
    if (this.byteLength > maxBytes)
      throw new BadInputError(
        'file_too_large',
        `a file of ${this.byteLength} bytes where at most ${maxBytes} are expected`,
        { file: this.path, hint: 'check that this is the file that is meant' },
      );
    return this.read(0, this.byteLength);
  }

  /** Bytes [begin, end) in order, read ahead by one chunk. */
  chunks(begin: number, end: number, maxBytes?: number): AsyncGenerator<Uint8Array> {
    return chunksAhead((from, to) => this.read(from, to), begin, end, maxBytes);
  }

  /** @throws BadInputError when `now` is not the file that was opened. */
  check(now: FileFacts): void {
    const then = this.#stats;
    const differs = (
      [
        ['size', 'size'],
        ['modification time', 'mtimeNs'],
        ['inode', 'ino'],
        ['device', 'dev'],
        ['time of its last change (ctime)', 'ctimeNs'],
      ] as const
    ).find(([, key]) => now[key] !== then[key]);
    if (!differs) return;
    const [what, key] = differs;
    throw this.#changed(`its ${what} was ${then[key]} and is ${now[key]}`);
  }

  /** What the file was hashed as: the CRC-32 of each block (ReadSums). */
  hashedAs(blocks: Uint32Array): void {
    this.#hashed = blocks;
  }

  /** By what the file system says. @throws BadInputError when the file changed since it was opened, or is gone */
  async checkStats(): Promise<void> {
    this.check(
      await stat(this.path, { bigint: true }).catch((cause: NodeJS.ErrnoException) => {
        throw cause.code === 'ENOENT' ? this.#changed('it is gone') : readFailure(this.path, cause);
      }),
    );
  }

  /**
   * The same, and by what was read: it must be what the file was hashed as, or, where it was not hashed, what it holds.
   * @throws BadInputError when the file changed since it was opened
   */
  async checkUnchanged(): Promise<void> {
    await this.checkStats();
    const found = await this.#sums.firstDifference(
      (begin, end) => this.#reading(begin, (handle, atEnd) => readExactly(handle, begin, end, atEnd), end),
      this.#hashed,
    );
    if (found) throw this.#contradicted(found.offset);
  }

  async #reading<T>(
    begin: number,
    action: (handle: Parameters<typeof readExactly>[0], atEnd: (at: number) => Error) => Promise<T>,
    end: number,
  ): Promise<T> {
    try {
      return await this.#pool.use(this, (handle) => action(handle, (at) => this.#truncated(at, end)));
    } catch (error) {
      if (error instanceof BadInputError) throw error;
      throw (error as NodeJS.ErrnoException).code === 'ENOENT'
        ? this.#changed('it is gone')
        : readFailure(this.path, error, begin);
    }
  }

  /** Notes what was read. */
  #taken(begin: number, bytes: Uint8Array): Uint8Array {
    const found = this.#sums.add(begin, bytes);
    if (found) throw this.#contradicted(found.offset);
    return bytes;
  }

  #contradicted(offset: number): BadInputError {
    return this.#changed('what was read there is something else now', offset);
  }

  #changed(how: string, offset?: number): BadInputError {
    return new BadInputError('file_changed', `the file changed while it was being read: ${how}`, {
      file: this.path,
      ...(offset !== undefined && { offset }),
      hint: 'run again when nothing writes to it',
    });
  }

  #truncated(at: number, end: number): BadInputError {
    return new BadInputError('file_truncated', `truncated: expected bytes up to ${end}, the file ends at ${at}`, {
      file: this.path,
      offset: at,
      hint: 'download the file again and run again when nothing writes to it',
    });
  }
}

function notRegular(file: string, kind: string): BadInputError {
  return new BadInputError('not_a_file', `expected a regular file, found ${kind}`, {
    file,
    hint: 'put the downloaded file itself there',
  });
}

/** Why a file is not read: it is absent (UsageError), no regular file, or the system refuses. */
function readFailure(file: string, cause: unknown, offset?: number): BadInputError | UsageError {
  if (cause instanceof NotRegular) return notRegular(file, cause.kind);
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ENOTDIR')
    return new UsageError('not_found', 'no such file', { file, hint: 'check the path' }, { cause });
  return new BadInputError(
    'cannot_read',
    `cannot read the file: ${message}`,
    {
      file,
      ...(offset !== undefined && { offset }),
      hint:
        code === 'EACCES' || code === 'EPERM'
          ? 'make the file readable for this user'
          : 'check the disk or the network mount, or copy the file elsewhere',
    },
    { cause },
  );
}
