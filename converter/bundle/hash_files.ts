import { Worker } from 'node:worker_threads';
import { BadInputError, InterruptedError } from '../errors.ts';

/** What the hashing thread is asked. */
export interface HashRequest {
  readonly paths: readonly string[];
  /** Bytes of a block that gets a CRC-32; undefined for none. */
  readonly sumBytes: number | undefined;
}

/** What the hashing thread says. */
export type HashReply =
  | { readonly kind: 'read'; readonly bytes: number }
  | ({ readonly kind: 'hashed'; readonly path: string } & FileHash)
  | {
      readonly kind: 'failed';
      readonly path: string;
      readonly offset: number;
      readonly code?: string | undefined;
      readonly message: string;
    };

export interface FileHash {
  readonly bytes: number;
  readonly sha256: string;
  /** CRC-32 of every block of `sumBytes`; empty where they were not asked for. */
  readonly blocks: Uint32Array;
}

export interface HashOptions {
  readonly signal?: AbortSignal;
  /** Once, before anything is read: bytes of all files. */
  readonly onTotal?: (bytes: number) => void;
  /** Bytes read since the last call. */
  readonly onRead?: (bytes: number) => void;
  /** Bytes of a block that gets a CRC-32 of its own; default none does. */
  readonly sumBytes?: number;
}

/**
 * sha256 and length of each file, read once, in a thread of its own.
 * @throws BadInputError `read_failed` with the file and the offset
 */
export function hashFiles(
  paths: readonly string[],
  { signal, onRead, sumBytes }: HashOptions = {},
): Promise<ReadonlyMap<string, FileHash>> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(abortError(signal));
    const hashes = new Map<string, FileHash>();
    const worker = new Worker(new URL('./hash_worker.js', import.meta.url), {
      workerData: { paths, sumBytes } satisfies HashRequest,
      name: 'pgconv-hash',
      execArgv: [],
    });
    const onAbort = () => stop(abortError(signal!));
    const stop = (error: Error) => {
      reject(error);
      void worker.terminate();
    };
    signal?.addEventListener('abort', onAbort, { once: true });
    worker.on('message', (reply: HashReply) => {
      if (reply.kind === 'read') onRead?.(reply.bytes);
      else if (reply.kind === 'hashed') hashes.set(reply.path, reply);
      else stop(readError(reply));
    });
    worker.on('error', stop);
    worker.on('exit', () => {
      signal?.removeEventListener('abort', onAbort);
      if (hashes.size === new Set(paths).size) resolve(hashes);
      else reject(new Error('the thread that hashes files ended early'));
    });
  });
}

function readError({ path, offset, code, message }: Extract<HashReply, { kind: 'failed' }>): BadInputError {
  const hint =
    code === 'ENOENT'
      ? 'put the file back, or name another folder'
      : 'check that the file can be read to its end, and the disk';
  return new BadInputError('read_failed', `cannot read: ${message}`, { file: path, offset, hint });
}

/** The reason of an abort as an error. */
export function abortError(signal: AbortSignal): Error {
  return signal.reason instanceof InterruptedError ? signal.reason : new InterruptedError();
}
