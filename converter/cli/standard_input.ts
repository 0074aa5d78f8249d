import { createReadStream } from 'node:fs';
import { UsageError } from '../errors.ts';

/** What is piped into the command. @throws UsageError where it is a terminal, and for more than `limit` bytes */
export async function standardInput(limit: number): Promise<Uint8Array> {
  if ((await import('node:tty')).isatty(0))
    throw new UsageError('no_input', '- means standard input, and that is a terminal', {
      hint: 'pipe it in: echo "caption en" | pgconv run … --prompt -',
    });
  const chunks: Buffer[] = [];
  let bytes = 0;
  // a thread's own process.stdin is another: the descriptor is the process's
  for await (const chunk of createReadStream('', { fd: 0, autoClose: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > limit)
      throw new UsageError('input_too_large', `standard input has more than ${limit} bytes`, {
        hint: 'write it to a file, and name that',
      });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
