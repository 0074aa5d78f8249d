import { mkdtemp, open, rm, type FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BadInputError, OutputError } from '../errors.ts';
import { chunksAhead, readExactly } from './range_reads.ts';

/**
 * Room on disk for what must be inflated before it can be read by range. Its name is gone as soon as it is open, where
 * the OS allows.
 */
export class ScratchFile {
  readonly #parent: string;
  #opening: Promise<{ handle: FileHandle; folder: string }> | undefined;
  #length = 0;

  constructor(parent = tmpdir()) {
    this.#parent = parent;
  }

  /** The offset of `byteLength` bytes of its own. */
  reserve(byteLength: number): number {
    const offset = this.#length;
    this.#length += byteLength;
    return offset;
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    try {
      const { handle } = await this.#open();
      for (let at = 0; at < bytes.byteLength;) {
        const { bytesWritten } = await handle.write(bytes, at, bytes.byteLength - at, offset + at);
        at += bytesWritten;
      }
    } catch (cause) {
      throw new OutputError(
        'scratch_failed',
        `cannot write a scratch file: ${(cause as Error).message}`,
        { file: this.#parent, hint: 'free space there, or set TMPDIR to a folder with room for the inflated arrays' },
        { cause },
      );
    }
  }

  chunks(begin: number, end: number, maxBytes?: number): AsyncGenerator<Uint8Array> {
    const read = async (from: number, to: number): Promise<Uint8Array> => {
      const { handle } = await this.#open();
      return readExactly(
        handle,
        from,
        to,
        (at) =>
          new BadInputError('cannot_read', `the scratch file ends at ${at}`, {
            file: this.#parent,
            offset: at,
            hint: 'run again',
          }),
      );
    };
    return chunksAhead(read, begin, end, maxBytes);
  }

  async close(): Promise<void> {
    const opened = await this.#opening?.catch(() => undefined);
    if (!opened) return;
    const { handle, folder } = opened;
    await handle.close();
    await rm(folder, { recursive: true, force: true });
  }

  #open(): Promise<{ handle: FileHandle; folder: string }> {
    return (this.#opening ??= this.#create());
  }

  async #create(): Promise<{ handle: FileHandle; folder: string }> {
    const folder = await mkdtemp(join(this.#parent, 'pgconv-'));
    const handle = await open(join(folder, 'inflated'), 'wx+', 0o600);
    // Windows keeps the names of open files: close() removes it
    await rm(folder, { recursive: true, force: true }).catch(() => {});
    return { handle, folder };
  }
}
