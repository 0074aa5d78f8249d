import { resolve } from 'node:path';
import { BadInputError, InterruptedError } from '../errors.ts';
import { FilePool, type OpenFile } from './file_pool.ts';
import { InputFile } from './input_file.ts';

/** PaliGemma's tokenizer.json has 17 MB; a recording's description, a list of samples less. */
export const MAX_TEXT_BYTES = 256 * 1024 * 1024;

/**
 * The files that a run reads: regular ones, each of which must stay as it was when it was opened until the run's end.
 * Whatever reads a file takes them, so that no file is read which nobody looks at again.
 */
export class Inputs {
  readonly #pool: FilePool;
  readonly #files = new Map<string, Promise<InputFile>>();

  /** @param openFile replaces the system's files, for tests */
  constructor(openFile?: OpenFile) {
    this.#pool = new FilePool(openFile);
  }

  /**
   * The same file for the same path.
   * @throws BadInputError `not_a_file`, `cannot_read`, `file_changed`; UsageError `not_found`
   */
  async open(path: string): Promise<InputFile> {
    const absolute = resolve(path);
    const known = this.#files.get(absolute);
    if (known) {
      const file = await known;
      await file.checkStats();
      return file;
    }
    const opening = InputFile.open(absolute, this.#pool);
    this.#files.set(absolute, opening);
    opening.catch(() => this.#files.delete(absolute));
    return opening;
  }

  /** All bytes of a file. @throws as `open` does, and BadInputError `file_too_large` for more than `maxBytes` */
  async read(path: string, maxBytes = MAX_TEXT_BYTES): Promise<Uint8Array> {
    return (await this.open(path)).readAll(maxBytes);
  }

  /** A file of text. @throws as `read` does, and BadInputError `not_text` for bytes that are no UTF-8 */
  async readText(path: string, maxBytes?: number): Promise<string> {
    const bytes = await this.read(path, maxBytes);
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    } catch (cause) {
      throw new BadInputError(
        'not_text',
        'the file is not UTF-8 text',
        { file: path, hint: 'write text there' },
        { cause },
      );
    }
  }

  /** What a file was hashed as, where it is one of these (InputFile.hashedAs). */
  async hashed(path: string, blocks: Uint32Array): Promise<void> {
    const file = await this.#files.get(resolve(path));
    file?.hashedAs(blocks);
  }

  /**
   * At the end of a run. @throws BadInputError `file_changed` naming the first file that is not what was opened, or of
   * which something else was read than what it was hashed as, or holds
   */
  async checkUnchanged(): Promise<void> {
    for (const opening of this.#files.values()) await (await opening).checkUnchanged();
  }

  /** Of a failure: that an input changed, where one did and it is no user's wish. */
  async causeOf(failure: unknown): Promise<unknown> {
    if (failure instanceof InterruptedError) return failure;
    try {
      await this.checkUnchanged();
    } catch (found) {
      if (found instanceof BadInputError && found.code === 'file_changed') return found;
    }
    return failure;
  }

  /** Closes what is open; whoever reads a file afterwards opens it again. */
  close(): Promise<void> {
    return this.#pool.close();
  }
}

/** What was given, or inputs of one's own, which `close` closes. */
export function inputsOr(given: Inputs | undefined): { readonly inputs: Inputs; close(): Promise<void> } {
  if (given) return { inputs: given, close: async () => {} };
  const inputs = new Inputs();
  return { inputs, close: () => inputs.close() };
}

/**
 * A run that only reads: its inputs are looked at when it ends, and closed. Where one changed, that is told in place of
 * what came of it, be it a failure.
 * @throws what `run` throws, and what Inputs.checkUnchanged does
 */
export async function withInputs<T>(run: (inputs: Inputs) => Promise<T>): Promise<T> {
  const inputs = new Inputs();
  try {
    const result = await run(inputs);
    await inputs.checkUnchanged();
    return result;
  } catch (error) {
    throw await inputs.causeOf(error);
  } finally {
    await inputs.close();
  }
}
