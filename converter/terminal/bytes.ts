import type { Reporter } from './reporter.ts';

/** What work that reads files tells. */
export interface Reading {
  /** Once, before anything is read: bytes of all files. */
  readonly onTotal: (bytes: number) => void;
  /** Bytes read since the last call. */
  readonly onRead: (bytes: number) => void;
}

/** Work that reads an amount of bytes that it tells first, as a stage of the reporter. */
export async function withBytes<T>(
  reporter: Reporter,
  label: string,
  work: (reading: Reading) => Promise<T>,
): Promise<T> {
  let stage: ReturnType<Reporter['stage']> | undefined;
  const result = await work({
    onTotal: (total) => (stage = reporter.stage(label, { unit: 'bytes', total })),
    onRead: (bytes) => stage?.advance(bytes),
  });
  stage?.done();
  return result;
}
