import { constants, type BigIntStats } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { BadInputError, UsageError } from '../errors.ts';
import type { SourceFile } from './checkpoint.ts';
import { chunksAhead, readExactly, type PositionalReader } from './range_reads.ts';

/** What is needed of a file handle. */
export interface PositionalFile extends PositionalReader {
  stat(options: { bigint: true }): Promise<BigIntStats>;
  close(): Promise<void>;
}
export type OpenFile = (path: string) => Promise<PositionalFile>;

/** O_NONBLOCK: opening a FIFO that took the file's place must not wait for a writer. */
const openForReading: OpenFile = (path) => open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));

/** Keeps few files open, however many shards a checkpoint has: the least recently used idle handle goes first. */
export class FilePool {
  readonly #open: OpenFile;
  readonly #capacity: number;
  readonly #entries = new Map<InputFile, { handle: Promise<PositionalFile>; users: number }>();

  constructor(openFile: OpenFile = openForReading, capacity = 16) {
    this.#open = openFile;
    this.#capacity = capacity;
  }

  async use<T>(file: InputFile, action: (handle: PositionalFile) => Promise<T>): Promise<T> {
    const entry = this.#entries.get(file) ?? { handle: this.#openChecked(file), users: 0 };
    this.#entries.delete(file);
    this.#entries.set(file, entry);
    entry.users++;
    try {
      return await action(await entry.handle);
    } catch (error) {
      if (
        await entry.handle.then(
          () => false,
          () => true,
        )
      )
        this.#entries.delete(file);
      throw error;
    } finally {
      entry.users--;
      await this.#evict();
    }
  }

  async close(): Promise<void> {
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    await Promise.all(entries.map(async ({ handle }) => (await handle).close()));
  }

  async #openChecked(file: InputFile): Promise<PositionalFile> {
    const handle = await this.#open(file.path);
    try {
      file.check(await handle.stat({ bigint: true }));
    } catch (error) {
      await handle.close();
      throw error;
    }
    return handle;
  }

  async #evict(): Promise<void> {
    for (const [file, { handle, users }] of this.#entries) {
      if (this.#entries.size <= this.#capacity) return;
      if (users > 0) continue;
      this.#entries.delete(file);
      await (await handle).close();
    }
  }
}

/** A regular file that is read by byte range and must stay as it was when it was opened. */
export class InputFile implements SourceFile {
  readonly path: string;
  readonly name: string;
  readonly byteLength: number;
  readonly #stats: BigIntStats;
  readonly #pool: FilePool;

  private constructor(path: string, name: string, stats: BigIntStats, pool: FilePool) {
    this.path = path;
    this.name = name;
    this.byteLength = Number(stats.size);
    this.#stats = stats;
    this.#pool = pool;
  }

  /**
   * @throws BadInputError when it is not a regular file (a FIFO or a device is never opened), UsageError when it is
   * absent.
   */
  static async open(path: string, name: string, pool: FilePool): Promise<InputFile> {
    const stats = await stat(path, { bigint: true }).catch((cause: NodeJS.ErrnoException) => {
      throw cause.code === 'ENOENT' || cause.code === 'ENOTDIR'
        ? new UsageError('not_found', 'no such file', { file: path, hint: 'check the path' }, { cause })
        : cannotRead(path, cause);
    });
    if (!stats.isFile()) throw notRegular(path, kindOf(stats));
    if (stats.size > BigInt(Number.MAX_SAFE_INTEGER))
      throw new BadInputError('file_too_large', `the file claims ${stats.size} bytes`, { file: path });
    return new InputFile(path, name, stats, pool);
  }

  /** Bytes [begin, end) in an array of their own. @throws BadInputError when the file ends early or cannot be read. */
  async read(begin: number, end: number): Promise<Uint8Array> {
    try {
      return await this.#pool.use(this, (handle) => readExactly(handle, begin, end, (at) => truncated(this, at, end)));
    } catch (error) {
      throw error instanceof BadInputError ? error : cannotRead(this.path, error as NodeJS.ErrnoException, begin);
    }
  }

  /** Bytes [begin, end) in order, read ahead by one chunk. */
  chunks(begin: number, end: number, maxBytes?: number): AsyncGenerator<Uint8Array> {
    return chunksAhead((from, to) => this.read(from, to), begin, end, maxBytes);
  }

  /** @throws BadInputError when `now` is not the file that was opened. */
  check(now: BigIntStats): void {
    const then = this.#stats;
    const differs = (
      [
        ['size', 'size'],
        ['modification time', 'mtimeNs'],
        ['inode', 'ino'],
        ['device', 'dev'],
      ] as const
    ).find(([, key]) => now[key] !== then[key]);
    if (!differs) return;
    const [what, key] = differs;
    throw new BadInputError(
      'file_changed',
      `the file changed while it was being read: its ${what} was ${then[key]} and is ${now[key]}`,
      {
        file: this.path,
        hint: 'run again when nothing writes to the checkpoint',
      },
    );
  }

  async checkUnchanged(): Promise<void> {
    this.check(
      await stat(this.path, { bigint: true }).catch((cause: NodeJS.ErrnoException) => {
        throw cannotRead(this.path, cause);
      }),
    );
  }
}

/** What lies at a path that is no regular file, in words. */
export function kindOf(
  stats: Pick<BigIntStats, 'isDirectory' | 'isFIFO' | 'isSocket' | 'isCharacterDevice' | 'isBlockDevice'>,
): string {
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a FIFO';
  if (stats.isSocket()) return 'a socket';
  return stats.isCharacterDevice() || stats.isBlockDevice() ? 'a device' : 'no regular file';
}

function notRegular(file: string, kind: string): BadInputError {
  return new BadInputError('not_a_file', `expected a regular file, found ${kind}`, {
    file,
    hint: 'put the downloaded file itself there',
  });
}

function truncated(file: InputFile, at: number, end: number): BadInputError {
  return new BadInputError('file_truncated', `truncated: expected bytes up to ${end}, the file ends at ${at}`, {
    file: file.path,
    offset: at,
    hint: 'download the file again and run again when nothing writes to it',
  });
}

function cannotRead(file: string, cause: NodeJS.ErrnoException, offset?: number): BadInputError {
  const hint =
    cause.code === 'EACCES' || cause.code === 'EPERM'
      ? 'make the file readable for this user'
      : 'check the disk or the network mount, or copy the file elsewhere';
  return new BadInputError(
    'cannot_read',
    `cannot read the file: ${cause.message}`,
    { file, ...(offset !== undefined && { offset }), hint },
    { cause },
  );
}
