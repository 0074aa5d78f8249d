import { Worker } from 'node:worker_threads';
import type { ArtifactChunk, ChunkTensor } from '../../backends/backend.ts';
import { outputError } from '../output_error.ts';

/** What the thread needs to know of a tensor, to look for what is not finite. */
type ScannedTensor = Pick<ChunkTensor, 'name' | 'dtype'>;

/** What the writer's thread is told. */
export type WriterRequest =
  | { readonly kind: 'open'; readonly path: string }
  | { readonly kind: 'chunk'; readonly bytes: Uint8Array; readonly tensor?: ScannedTensor | undefined }
  | { readonly kind: 'close' };

/** What it says. */
export type WriterReply =
  | { readonly kind: 'written'; readonly bytes: number }
  | {
      readonly kind: 'nonfinite';
      readonly path: string;
      readonly tensor: ScannedTensor;
      readonly infinite: number;
      readonly nan: number;
    }
  | { readonly kind: 'closed'; readonly path: string; readonly bytes: number; readonly sha256: string }
  | { readonly kind: 'failed'; readonly path: string; readonly code?: string | undefined; readonly message: string };

export interface WrittenFile {
  readonly bytes: number;
  readonly sha256: string;
}

export interface FileWriterOptions {
  /** Bytes that reached the file system since the last call. */
  readonly onWritten?: (bytes: number) => void;
  /** Infinities and NaN found in a chunk of a tensor in the file at `path`. */
  readonly onNonFinite?: (found: {
    readonly path: string;
    readonly tensor: ScannedTensor;
    readonly infinite: number;
    readonly nan: number;
  }) => void;
  /** Bound of the bytes on their way to the thread. */
  readonly maxInFlight?: number;
}

/**
 * Writes files one after another in a thread of its own, with their sha256 on the way, and flushes them to disk.
 * `write` waits while too many bytes are under way, so memory stays bounded however slow the disk is.
 */
export class FileWriter {
  readonly #worker: Worker;
  readonly #options: FileWriterOptions;
  readonly #maxInFlight: number;
  readonly #closed = new Map<string, { resolve(file: WrittenFile): void; reject(error: Error): void }>();
  #inFlight = 0;
  #failure: Error | undefined;
  #disposed = false;
  #wake = () => {};

  constructor(options: FileWriterOptions = {}) {
    this.#options = options;
    this.#maxInFlight = options.maxInFlight ?? 32 * 1024 * 1024;
    this.#worker = new Worker(new URL('./write_worker.js', import.meta.url), { name: 'pgconv-writer', execArgv: [] });
    this.#worker.on('message', (reply: WriterReply) => this.#receive(reply));
    this.#worker.on('error', (error: Error) => this.#fail(error));
    this.#worker.on('exit', () => {
      if (!this.#disposed) this.#fail(new Error('the thread that writes files ended'));
    });
  }

  /** Starts a new file at an absolute path, which must not exist. */
  open(path: string): void {
    this.#post({ kind: 'open', path });
  }

  /**
   * Appends. The bytes are given away: their buffer may be gone afterwards.
   * @throws OutputError when an earlier write failed
   */
  async write({ bytes, tensor }: ArtifactChunk): Promise<void> {
    const own = ownBuffer(bytes);
    this.#inFlight += own.byteLength;
    this.#post({ kind: 'chunk', bytes: own, tensor: tensor && { name: tensor.name, dtype: tensor.dtype } }, own.buffer);
    while (this.#inFlight > this.#maxInFlight && !this.#failure)
      await new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#failure) throw this.#failure;
  }

  /** Ends the open file at `path`. The promise settles once it is on disk; the next file can be opened before. */
  close(path: string): Promise<WrittenFile> {
    const written = new Promise<WrittenFile>((resolve, reject) => {
      if (this.#failure) reject(this.#failure);
      else this.#closed.set(path, { resolve, reject });
    });
    written.catch(() => {});
    this.#post({ kind: 'close' });
    return written;
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.#worker.terminate();
  }

  #post(request: WriterRequest, transfer?: ArrayBuffer): void {
    if (!this.#failure) this.#worker.postMessage(request, transfer ? [transfer] : []);
  }

  #receive(reply: WriterReply): void {
    switch (reply.kind) {
      case 'written':
        this.#inFlight -= reply.bytes;
        this.#options.onWritten?.(reply.bytes);
        this.#wake();
        return;
      case 'nonfinite':
        this.#options.onNonFinite?.(reply);
        return;
      case 'closed':
        this.#closed.get(reply.path)?.resolve({ bytes: reply.bytes, sha256: reply.sha256 });
        this.#closed.delete(reply.path);
        return;
      case 'failed':
        this.#fail(
          outputError(
            Object.assign(new Error(reply.message), reply.code !== undefined && { code: reply.code }),
            reply.path,
          ),
        );
    }
  }

  /** The first failure is the one that is told. */
  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#closed.values()) reject(this.#failure);
    this.#closed.clear();
    this.#wake();
  }
}

/** The bytes in a buffer of exactly their size, which can be transferred: views of something larger are copied. */
function ownBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) return new Uint8Array(buffer);
  return new Uint8Array(bytes);
}
