import { RuntimeError } from '../errors.ts';
import { keptUnlessFailed } from '../kept.ts';
import { endsEarly, type BundleSource } from '../sources/source.ts';
import { checkedChunks, checkWhole, notAsWritten } from './checked_chunks.ts';
import { HASHES_PATH, type FileHash, type FileHashes } from './file_hashes.ts';
import { sha256Of } from './hasher.ts';

/** What a part of a file is read in, to be checked on its own. */
const BLOCK_BYTES = 64 * 1024;

/**
 * The same files, each held to manifest.json: whole ones before they are given, streams up to their last chunk, which
 * comes when all is known to be right. Of what ranges are read, a file is read through once (`beforeRanges`, else the
 * first range), which is held to manifest.json and leaves the hash of every block; each range is held to those, so that
 * a file that changes later is noticed too. What manifest.json does not list is not there.
 * It throws RuntimeError `damaged` for a file that is missing or not as written.
 */
export function checkedSource(source: BundleSource, hashes: FileHashes): BundleSource {
  return new CheckedSource(source, hashes);
}

class CheckedSource implements BundleSource {
  readonly name: string;
  readonly isRemote: boolean;
  readonly #source: BundleSource;
  readonly #hashes: FileHashes;
  /** Of files of which ranges are read: sha256 of each block. */
  readonly #blocks = new Map<string, () => Promise<readonly string[]>>();

  constructor(source: BundleSource, hashes: FileHashes) {
    this.name = source.name;
    this.isRemote = source.isRemote;
    this.#source = source;
    this.#hashes = hashes;
  }

  async read(path: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    if (path === HASHES_PATH) return this.#hashes.manifest.slice();
    const file = this.#file(path);
    const bytes = await this.#source.read(path, signal).catch((error: unknown) => this.#missing(path, error));
    await checkWhole(bytes, file, this.#nameOf(path));
    return bytes;
  }

  async *stream(path: string, byteLength: number, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const file = this.#file(path);
    if (byteLength !== file.bytes)
      throw this.#damaged(path, `${byteLength} bytes of it are wanted, and manifest.json says ${file.bytes}`);
    try {
      yield* checkedChunks(this.#source.stream(path, byteLength, signal), file, this.#nameOf(path));
    } catch (error) {
      this.#missing(path, error);
    }
  }

  async beforeRanges(path: string, signal?: AbortSignal): Promise<void> {
    await this.#blocksOf(path, signal);
  }

  async readRange(path: string, begin: number, end: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    const file = this.#file(path);
    if (end > file.bytes) throw endsEarly(this.#nameOf(path), file.bytes, end);
    const hashes = await this.#blocksOf(path, signal);
    const first = Math.floor(begin / BLOCK_BYTES);
    const from = first * BLOCK_BYTES;
    const to = Math.min(Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES, file.bytes);
    if (to <= from) return new Uint8Array(0);
    const bytes = await this.#source
      .readRange(path, from, to, signal)
      .catch((error: unknown) => this.#missing(path, error));
    for (let block = first; block * BLOCK_BYTES < to; block++) {
      const at = block * BLOCK_BYTES - from;
      if ((await sha256Of(bytes.subarray(at, at + BLOCK_BYTES))) !== hashes[block])
        throw this.#damaged(path, `bytes from ${block * BLOCK_BYTES} on changed after it was opened`);
    }
    return bytes.slice(begin - from, end - from);
  }

  #blocksOf(path: string, signal: AbortSignal | undefined): Promise<readonly string[]> {
    const known = this.#blocks.get(path) ?? keptUnlessFailed(() => this.#readBlocks(path, signal));
    this.#blocks.set(path, known);
    return known();
  }

  async #readBlocks(path: string, signal: AbortSignal | undefined): Promise<readonly string[]> {
    const hashes: string[] = [];
    const block = new Uint8Array(Math.min(BLOCK_BYTES, this.#file(path).bytes));
    let filled = 0;
    const close = async () => {
      hashes.push(await sha256Of(block.subarray(0, filled)));
      filled = 0;
    };
    for await (const chunk of this.stream(path, this.#file(path).bytes, signal))
      for (let at = 0; at < chunk.length;) {
        const count = Math.min(chunk.length - at, BLOCK_BYTES - filled);
        block.set(chunk.subarray(at, at + count), filled);
        at += count;
        filled += count;
        if (filled === BLOCK_BYTES) await close();
      }
    if (filled > 0) await close();
    return hashes;
  }

  /** @throws RuntimeError `not_found` for what is not of the bundle */
  #file(path: string): FileHash {
    const file = this.#hashes.files.get(path);
    if (!file)
      throw new RuntimeError(
        'not_found',
        `${this.#nameOf(path)} is not of the bundle: ${HASHES_PATH} does not list it`,
        'convert again if it should be there',
      );
    return file;
  }

  #nameOf(path: string): string {
    return `${this.name}: ${path}`;
  }

  #damaged(path: string, what: string, cause?: unknown): RuntimeError {
    return notAsWritten(this.#nameOf(path), what, cause);
  }

  /** What is listed and not there is damage: nobody may take it for a file that a bundle can be without. */
  #missing(path: string, error: unknown): never {
    if (error instanceof RuntimeError && error.code === 'not_found')
      throw this.#damaged(path, 'it is missing, or cannot be read', error);
    throw error;
  }
}
