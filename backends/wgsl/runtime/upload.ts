import type { Plan } from '../bundle/plan.ts';
import { RuntimeError } from '../../client/errors.ts';
import type { DeviceMemory } from './memory.ts';

export interface UploadOptions {
  readShard(index: number, signal: AbortSignal): AsyncIterable<Uint8Array>;
  readonly signal: AbortSignal;
  readonly onProgress?: (loaded: number, total: number) => void;
}

/** Bytes that wait in the queue before the host waits for the device: so much, and a chunk, is all that it holds. */
const IN_FLIGHT_BYTES = 64 * 1024 * 1024;
const PIECE_BYTES = 4 * 1024 * 1024;

/**
 * Wall times in milliseconds: `fetch` is what the host waited for bytes, `upload` what it waited for the device and
 * spent on copies.
 */
export interface UploadTimes {
  readonly fetch: number;
  readonly upload: number;
}

/**
 * Every shard as one buffer.
 * @throws RuntimeError when a shard is short or long; whatever readShard throws. What was made is still `memory`'s.
 */
export async function uploadShards(
  memory: DeviceMemory,
  { shards }: Plan,
  { readShard, signal, onProgress }: UploadOptions,
): Promise<{ buffers: GPUBuffer[]; times: UploadTimes }> {
  const { queue } = memory.device;
  const started = performance.now();
  const waited = { fetch: 0 };
  const buffers: GPUBuffer[] = [];
  const total = shards.reduce((sum, shard) => sum + shard.byteLength, 0);
  let [loaded, waiting] = [0, 0];
  for (const [index, { path, byteLength }] of shards.entries()) {
    signal.throwIfAborted();
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
    // made when bytes come: whoever reads them has seen by then that the file has so many
    let buffer: GPUBuffer | undefined;
    let at = 0;
    for await (const chunk of inPieces(timed(readShard(index, signal), waited))) {
      signal.throwIfAborted();
      buffer ??= await memory.checked(path, () =>
        memory.create({ label: path, size: Math.ceil(byteLength / 16) * 16, usage }),
      );
      if (at + chunk.byteLength > Math.ceil(byteLength / 4) * 4) throw damaged(path, byteLength, 'it is longer');
      queue.writeBuffer(buffer, at, chunk);
      at += chunk.byteLength;
      loaded += chunk.byteLength;
      waiting += chunk.byteLength;
      onProgress?.(Math.min(loaded, total), total);
      if (waiting < IN_FLIGHT_BYTES) continue;
      await queue.onSubmittedWorkDone();
      waiting = 0;
    }
    if (!buffer || at < byteLength) throw damaged(path, byteLength, `it ends after ${at}`);
    buffers.push(buffer);
  }
  const { fetch } = waited;
  return { buffers, times: { fetch, upload: performance.now() - started - fetch } };
}

/** The same chunks; adds up how long they were waited for. */
async function* timed(chunks: AsyncIterable<Uint8Array>, waited: { fetch: number }): AsyncGenerator<Uint8Array> {
  let asked = performance.now();
  for await (const chunk of chunks) {
    waited.fetch += performance.now() - asked;
    yield chunk;
    asked = performance.now();
  }
  waited.fetch += performance.now() - asked;
}

function damaged(path: string, byteLength: number, what: string): RuntimeError {
  return new RuntimeError(
    'damaged',
    `${path} should have ${byteLength} bytes: ${what}`,
    'fetch or convert the bundle again',
  );
}

/**
 * The same bytes in pieces of a few MiB, and of multiples of 4 as `writeBuffer` takes them: one array that is filled
 * again and again.
 */
async function* inPieces(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const piece = new Uint8Array(PIECE_BYTES);
  let filled = 0;
  for await (const chunk of chunks)
    for (let at = 0; at < chunk.length;) {
      const count = Math.min(chunk.length - at, PIECE_BYTES - filled);
      piece.set(chunk.subarray(at, at + count), filled);
      at += count;
      filled += count;
      if (filled < PIECE_BYTES) continue;
      yield piece;
      filled = 0;
    }
  if (filled === 0) return;
  const end = Math.ceil(filled / 4) * 4;
  yield piece.fill(0, filled, end).subarray(0, end);
}
