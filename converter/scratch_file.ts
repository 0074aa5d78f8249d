import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeTempFolder, openFile, removePath, type DiskFile } from './disk.js';
import { BadInputError, OutputError } from './errors.ts';
import { chunksAhead, readExactly } from './inputs/range_reads.ts';

/**
 * Room on disk for what memory has none for: arrays that must be inflated before they can be read by range, inputs of
 * layers. Its name is gone as soon as it is open, where the OS allows.
 */
export class ScratchFile {
  readonly #parent: string;
  #opening: Promise<{ file: DiskFile; folder: string }> | undefined;
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
      const { file } = await this.#open();
      await file.write(bytes, offset);
    } catch (cause) {
      throw new OutputError(
        'scratch_failed',
        `cannot write a scratch file: ${(cause as Error).message}`,
        { file: this.#parent, hint: 'free space there, or set TMPDIR to a folder with more room' },
        { cause },
      );
    }
  }

  chunks(begin: number, end: number, maxBytes?: number): AsyncGenerator<Uint8Array> {
    const read = async (from: number, to: number): Promise<Uint8Array> => {
      const { file } = await this.#open();
      return readExactly(
        file,
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
    const { file, folder } = opened;
    await file.close();
    await removePath(folder);
  }

  #open(): Promise<{ file: DiskFile; folder: string }> {
    return (this.#opening ??= this.#create());
  }

  async #create(): Promise<{ file: DiskFile; folder: string }> {
    const folder = await makeTempFolder(join(this.#parent, 'pgconv-'));
    const file = await openFile(join(folder, 'scratch'), 'wx+', 0o600);
    // Windows keeps the names of open files: close() removes it
    await removePath(folder).catch(() => {});
    return { file, folder };
  }
}
