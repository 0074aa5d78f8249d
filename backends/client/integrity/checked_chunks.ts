import { RuntimeError } from '../errors.ts';
import type { FileHash } from './file_hashes.ts';
import { newHasher, sha256Of } from './hasher.ts';

/**
 * The same bytes in the same chunks, hashed as they pass. The last chunk is held back until the hash is known to be
 * right, so nobody has a whole file that is another: what was given before an error must not be used.
 * @param name of the file, for messages
 * @throws RuntimeError `damaged` when they are not those of the file
 */
export async function* checkedChunks<T extends Uint8Array>(
  chunks: AsyncIterable<T>,
  file: FileHash,
  name: string,
): AsyncGenerator<T> {
  const hasher = await newHasher();
  let length = 0;
  let held: T | undefined;
  for await (const chunk of chunks) {
    if (held) yield held;
    held = chunk;
    length += chunk.length;
    if (length > file.bytes) throw notAsWritten(name, `it has more than ${file.bytes} bytes`);
    hasher.update(chunk);
  }
  if (length < file.bytes) throw notAsWritten(name, `it ends after ${length} of ${file.bytes} bytes`);
  if (hasher.digest() !== file.sha256) throw notAsWritten(name, 'its bytes changed (the sha256 differs)');
  if (held) yield held;
}

/** The same of bytes that are all there. @throws RuntimeError `damaged` when they are not those of the file */
export async function checkWhole(data: Uint8Array<ArrayBuffer>, file: FileHash, name: string): Promise<void> {
  if (data.length !== file.bytes) throw notAsWritten(name, `it has ${data.length} bytes in place of ${file.bytes}`);
  if ((await sha256Of(data)) !== file.sha256) throw notAsWritten(name, 'its bytes changed (the sha256 differs)');
}

/** A file of a bundle that is not what manifest.json says. */
export function notAsWritten(name: string, what: string, cause?: unknown): RuntimeError {
  return new RuntimeError('damaged', `${name} is not what was written: ${what}`, AGAIN, { cause });
}

const AGAIN = 'copy the bundle again, or convert again';
