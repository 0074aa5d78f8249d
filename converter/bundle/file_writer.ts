import { Worker } from 'node:worker_threads';
import type { ArtifactChunk, ChunkTensor } from '../../backends/backend.ts';
import { currentFaults } from '../disk.js';
import { outputError } from '../output_error.ts';
import type { FlushedTo } from './journal.ts';

/** What the thread needs to know of a tensor, to look for what is not finite. */
type ScannedTensor = Pick<ChunkTensor, 'name' | 'dtype'>;

/** What the writer's thread knows from its start. */
export interface WriterData {
  /** The file that is told how far others are on disk (see journal.ts). */
  readonly journal: string | undefined;
  /** Dirty bytes after which the disk is asked to start, and flushed ones after which the journal is told. */
  readonly flushBytes: number;
  readonly faults: ReturnType<typeof currentFaults>;
}

/** What the writer's thread is told. */
export type WriterRequest =
  | { readonly kind: 'open'; readonly path: string; readonly name: string; readonly flushed: readonly FlushedTo[] }
  | { readonly kind: 'chunk'; readonly bytes: Uint8Array; readonly tensor?: ScannedTensor | undefined }
  | { readonly kind: 'close' };

/** What it says. */
export type WriterReply =
  | { readonly kind: 'reread'; readonly bytes: number }
  | { readonly kind: 'opened'; readonly path: string; readonly bytes: number }
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

/** The last flush of a file is short, and little is lost to a kill. */
const FLUSH_BYTES = 48 * 1024 * 1024;

export interface WrittenFile {
  readonly bytes: number;
  readonly sha256: string;
}

export interface FileWriterOptions {
  /** Path of a journal that has begun; default none. */
  readonly journal?: string;
  /** Bytes after which a file is flushed and the journal told; default 48 MiB. */
  readonly flushBytes?: number;
  /** Bytes of files that are gone on with, read again since the last call. */
  readonly onReread?: (bytes: number) => void;
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
  readonly #opened = new Map<string, { resolve(bytes: number): void; reject(error: Error): void }>();
  readonly #closed = new Map<string, { resolve(file: WrittenFile): void; reject(error: Error): void }>();
  #inFlight = 0;
  #failure: Error | undefined;
  #disposed = false;
  #wake = () => {};

  constructor(options: FileWriterOptions = {}) {
    this.#options = options;
    this.#maxInFlight = options.maxInFlight ?? 32 * 1024 * 1024;
    this.#worker = new Worker(new URL('./write_worker.js', import.meta.url), {
      name: 'pgconv-writer',
      execArgv: [],
      workerData: {
        journal: options.journal,
        flushBytes: options.flushBytes ?? FLUSH_BYTES,
        faults: currentFaults(),
      } satisfies WriterData,
    });
    this.#worker.on('message', (reply: WriterReply) => this.#receive(reply));
    this.#worker.on('error', (error: Error) => this.#fail(error));
    this.#worker.on('exit', () => {
      if (!this.#disposed) this.#fail(new Error('the thread that writes files ended'));
    });
  }

  /** Starts a new file at an absolute path, which must not exist. Its name is for the journal. */
  open(path: string, name: string): void {
    this.#post({ kind: 'open', path, name, flushed: [] });
  }

  /**
   * Goes on with a file, behind the last of the places up to which it was flushed where its bytes are those that it had
   * then. @returns how many it keeps. @throws OutputError
   */
  async resume(path: string, name: string, flushed: readonly FlushedTo[]): Promise<number> {
    if (this.#failure) throw this.#failure;
    const opened = new Promise<number>((resolve, reject) => this.#opened.set(path, { resolve, reject }));
    this.#post({ kind: 'open', path, name, flushed });
    return opened;
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
    // it is awaited when other files have been written: that it failed before is told then
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
      case 'reread':
        this.#options.onReread?.(reply.bytes);
        return;
      case 'opened':
        this.#opened.get(reply.path)?.resolve(reply.bytes);
        this.#opened.delete(reply.path);
        return;
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
    for (const waiting of [this.#opened, this.#closed]) {
      for (const { reject } of waiting.values()) reject(this.#failure);
      waiting.clear();
    }
    this.#wake();
  }
}

/** The bytes in a buffer of exactly their size, which can be transferred: views of something larger are copied. */
function ownBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) return new Uint8Array(buffer);
  return new Uint8Array(bytes);
}
