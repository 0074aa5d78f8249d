import { CHUNK_BYTES } from '../../ir/tensor.ts';

/** What reading needs of a file handle: tests put faults behind it. */
export interface PositionalReader {
  read(buffer: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesRead: number }>;
}

/** One system call reads at most 2^31 - 1 bytes. */
const MAX_READ = 1 << 30;

/**
 * Bytes [begin, end) in an array of their own, whose buffer the consumer may transfer. Short reads are continued; at
 * the end of the file `atEnd` gives the error, so that no byte is ever made up.
 */
export async function readExactly(
  file: PositionalReader,
  begin: number,
  end: number,
  atEnd: (at: number) => Error,
): Promise<Uint8Array> {
  // not zeroed: every byte is read, or the array is dropped
  const bytes = new Uint8Array(Buffer.allocUnsafeSlow(end - begin).buffer);
  await fillExactly(file, bytes, begin, atEnd);
  return bytes;
}

/** The same into memory that is there: as many bytes as it has. */
export async function fillExactly(
  file: PositionalReader,
  out: Uint8Array,
  begin: number,
  atEnd: (at: number) => Error,
): Promise<void> {
  for (let at = 0; at < out.byteLength;) {
    const { bytesRead } = await file.read(out, at, Math.min(out.byteLength - at, MAX_READ), begin + at);
    if (bytesRead === 0) throw atEnd(begin + at);
    at += bytesRead;
  }
}

/** Chunks of [begin, end) in order; the next one is read while the consumer works on the last. */
export async function* chunksAhead(
  read: (begin: number, end: number) => Promise<Uint8Array>,
  begin: number,
  end: number,
  maxBytes = CHUNK_BYTES,
): AsyncGenerator<Uint8Array> {
  const step = Math.max(8, maxBytes - (maxBytes % 8));
  const readAt = (at: number): Promise<Uint8Array> | undefined => {
    if (at >= end) return undefined;
    const reading = read(at, Math.min(at + step, end));
    reading.catch(() => {}); // awaited below, unless the consumer leaves
    return reading;
  };
  let next = readAt(begin);
  for (let at = begin + step; next; at += step) {
    const chunk = await next;
    next = readAt(at);
    yield chunk;
  }
}
