import type { SidecarName } from '../checkpoints/checkpoint.ts';
import {
  JsonReader,
  type JsonNumber,
  type JsonObject,
  type JsonValue,
  type PlainJson,
} from '../checkpoints/strict_json.ts';
import { BadInputError } from '../errors.ts';
import type { InputFile } from '../inputs/input_file.ts';
import { MAX_TEXT_BYTES } from '../inputs/inputs.ts';

/** A file beside the weights, or one that the user names in its place. */
export interface Sidecar {
  /** For messages. */
  readonly file: string;
  readonly bytes: Uint8Array;
}
export type Sidecars = ReadonlyMap<SidecarName, Sidecar>;
export type JsonFields = { [key: string]: PlainJson };

/** PaliGemma's tokenizer.json has 17 MB, the other sidecars a few KB. */
export const MAX_TOKENIZER_BYTES = MAX_TEXT_BYTES;
const MAX_CONFIG_BYTES = 16 * 1024 * 1024;

/** Reads the sidecars of a checkpoint. @throws BadInputError when one is too large to be one, or cannot be read. */
export async function readSidecars(files: ReadonlyMap<SidecarName, InputFile>): Promise<Sidecars> {
  const entries = [...files].map(
    async ([name, file]) =>
      [name, await readSidecar(file, name.startsWith('tokenizer.') ? MAX_TOKENIZER_BYTES : MAX_CONFIG_BYTES)] as const,
  );
  return new Map(await Promise.all(entries));
}

/** @throws BadInputError when it is larger than `maxBytes`, changed or cannot be read. */
export async function readSidecar(input: InputFile, maxBytes = MAX_TOKENIZER_BYTES): Promise<Sidecar> {
  const { path: file, byteLength } = input;
  if (byteLength > maxBytes)
    throw new BadInputError(
      'sidecar_too_large',
      `a file of ${byteLength} bytes where at most ${maxBytes} are expected`,
      { file, hint: 'put the model’s own file there' },
    );
  return { file, bytes: await input.readAll(maxBytes) };
}

/** The JSON object in a sidecar. @throws BadInputError with the byte offset of what is wrong. */
export function parseSidecar({ file, bytes }: Sidecar): JsonFields {
  refuseLfsPointer(bytes, file);
  const reader = new JsonReader(bytes, {
    file,
    code: 'bad_sidecar',
    hint: 'take the file of the original model again',
  });
  const value = reader.value();
  reader.end();
  if (!(value instanceof Map)) reader.fail('expected a JSON object', 0);
  return plainOf(value) as JsonFields;
}

/** @throws BadInputError for the few lines that git leaves in place of a large file. */
export function refuseLfsPointer(bytes: Uint8Array, file: string): void {
  const start = new TextDecoder().decode(bytes.subarray(0, 40));
  if (start.startsWith('version https://git-lfs.github.com/'))
    throw new BadInputError('git_lfs_pointer', 'a Git LFS pointer, not the file itself', {
      file,
      hint: 'run `git lfs pull` in the checkpoint’s folder',
    });
}

/**
 * Unlike JsonReader.plain: `model_max_length` of most tokenizers is 10^30, which no double holds, and any text may be a
 * key of a vocabulary.
 */
function plainOf(value: JsonValue): PlainJson {
  if (value instanceof Map)
    return Object.fromEntries([...(value as JsonObject)].map(([key, member]) => [key, plainOf(member)]));
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map(plainOf);
  return value !== null && typeof value === 'object' ? Number((value as JsonNumber).text) : value;
}

/** Whether a JSON value is an object. */
export function isFields(value: PlainJson | undefined): value is JsonFields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
