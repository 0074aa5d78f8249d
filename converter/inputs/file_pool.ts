import { openRegular } from '../../backends/regular_file.js';
import type { PositionalReader } from './range_reads.ts';

/** What tells one file, and one content of it, from another: `BigIntStats` in part. */
export type FileFacts = Readonly<Record<'size' | 'mtimeNs' | 'ctimeNs' | 'ino' | 'dev', bigint>>;

/** What is needed of a file handle. */
export interface PositionalFile extends PositionalReader {
  stat(options: { bigint: true }): Promise<FileFacts>;
  close(): Promise<void>;
}
export type OpenFile = (path: string) => Promise<PositionalFile>;

/** Whose handle it is: it looks at the handle before it is used. */
interface PooledFile {
  readonly path: string;
  /** @throws when it is another file than was meant */
  check(now: FileFacts): void;
}

/** Keeps few files open, however many shards a checkpoint has: the least recently used idle handle goes first. */
export class FilePool {
  readonly #open: OpenFile;
  readonly #capacity: number;
  readonly #entries = new Map<PooledFile, { handle: Promise<PositionalFile>; users: number }>();

  constructor(openFile: OpenFile = openRegular, capacity = 16) {
    this.#open = openFile;
    this.#capacity = capacity;
  }

  async use<T>(file: PooledFile, action: (handle: PositionalFile) => Promise<T>): Promise<T> {
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

  async #openChecked(file: PooledFile): Promise<PositionalFile> {
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
