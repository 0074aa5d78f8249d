import { newHasher } from '../../client/integrity/hasher.ts';

/**
 * What this module uses of a FileSystemDirectoryHandle: the browser's own file system (OPFS), or a folder that the user
 * opened.
 */
export interface CacheDirectory {
  /** A folder of it, made where it is not there. */
  getDirectoryHandle(name: string, options: { readonly create: boolean }): Promise<CacheDirectory>;
  /** A file of it. Rejects where it is not there and is not to be made. */
  getFileHandle(name: string, options?: { readonly create: boolean }): Promise<CacheFile>;
}

interface CacheFile {
  getFile(): Promise<Blob>;
  createWritable?(): Promise<CacheWriter>;
}

interface CacheWriter {
  write(chunk: Uint8Array): Promise<void>;
  close(): Promise<void>;
  abort(): Promise<void>;
}

/** What became of caching, for people: shards that came from it, that went into it, and why some did not. */
export interface CacheReport {
  /** Files of weights that came from it. */
  hits: number;
  /** Files of weights that went into it. */
  stored: number;
  /** Why it does not work; undefined where it does. */
  problem: string | undefined;
}

const FOLDER = 'pgconv';
const CHUNK_BYTES = 4 * 1024 * 1024;

/** Shards by their SHA-256. That it does not work is reported and otherwise nothing: they are fetched again. */
export class ShardCache {
  readonly report: CacheReport = { hits: 0, stored: 0, problem: undefined };
  readonly #folder: Promise<CacheDirectory | undefined>;
  readonly #checks: boolean;

  /**
   * @param directory `true` for the browser's own file system, `false` for none
   * @param checks whether what it holds is hashed before it is given
   */
  constructor(directory: boolean | CacheDirectory, checks: boolean) {
    this.#folder = this.#open(directory);
    this.#checks = checks;
  }

  /**
   * The bytes of a shard; undefined when they are not here as they should be. They are read twice, since a device that
   * has got wrong ones could not be given others: once for their hash, and once more.
   */
  async read(sha256: string, byteLength: number): Promise<AsyncIterable<Uint8Array> | undefined> {
    const folder = await this.#folder;
    const file = await folder
      ?.getFileHandle(sha256)
      .then((handle) => handle.getFile())
      .catch(() => undefined);
    if (file?.size !== byteLength || (this.#checks && (await hashOf(file)) !== sha256)) return undefined;
    this.report.hits++;
    return pieces(file);
  }

  /** The same bytes, kept when the last of them has come and nothing was thrown: put it behind what checks them. */
  async *keep(sha256: string, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let writer = await this.#writer(sha256);
    let whole = false;
    const give = async (problem: unknown) => {
      this.#problem(problem);
      await writer?.abort().catch(() => {});
      writer = undefined;
    };
    try {
      for await (const chunk of chunks) {
        await writer?.write(chunk).catch(give);
        yield chunk;
      }
      whole = true;
    } finally {
      if (!whole) await writer?.abort().catch(() => {});
    }
    if (!writer) return;
    await writer.close().then(() => this.report.stored++, give);
  }

  async #open(directory: boolean | CacheDirectory): Promise<CacheDirectory | undefined> {
    if (directory === false) return undefined;
    try {
      const root = directory === true ? await browserStorage() : directory;
      return await root.getDirectoryHandle(FOLDER, { create: true });
    } catch (error) {
      this.#problem(error);
      return undefined;
    }
  }

  async #writer(sha256: string): Promise<CacheWriter | undefined> {
    const folder = await this.#folder;
    if (!folder || this.report.problem !== undefined) return undefined;
    try {
      const file = await folder.getFileHandle(sha256, { create: true });
      if (!file.createWritable) throw new Error('this browser does not write streams to files');
      return await file.createWritable();
    } catch (error) {
      this.#problem(error);
      return undefined;
    }
  }

  #problem(error: unknown): void {
    this.report.problem ??= error instanceof Error ? error.message : String(error);
  }
}

function browserStorage(): Promise<CacheDirectory> {
  const { storage } =
    (globalThis as { readonly navigator?: { readonly storage?: { getDirectory?(): Promise<CacheDirectory> } } })
      .navigator ?? {};
  if (!storage?.getDirectory) throw new Error('there is no file system of the browser (OPFS) here');
  return storage.getDirectory();
}

/** Undefined for a file that does not read. */
async function hashOf(file: Blob): Promise<string | undefined> {
  const hasher = await newHasher();
  try {
    for await (const piece of pieces(file)) hasher.update(piece);
  } catch {
    return undefined;
  }
  return hasher.digest();
}

async function* pieces(blob: Blob): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < blob.size; at += CHUNK_BYTES)
    yield new Uint8Array(await blob.slice(at, at + CHUNK_BYTES).arrayBuffer());
}
