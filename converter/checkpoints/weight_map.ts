import { BadInputError } from '../errors.ts';
import type { InputFile } from '../inputs/input_file.ts';
import { refusal, refusedName } from './recognize.ts';
import { isPlainFileName } from './safe_path.ts';
import { DEFAULT_HEADER_BYTES } from './safetensors.ts';
import { MAX_TENSORS } from './safetensors_header.ts';
import { JsonReader, shorten, type JsonValue } from './strict_json.ts';

/** `model.safetensors.index.json`: which shard holds which tensor. */
export interface WeightMap {
  /** Tensor name to shard name, in file order. */
  readonly shardOf: ReadonlyMap<string, string>;
  /** Bytes of all tensors, when the index states a number. */
  readonly totalSize: number | undefined;
}

/**
 * @throws BadInputError when the index is no index, or names a shard that is not a plain .safetensors file beside it.
 */
export async function readWeightMap(file: InputFile): Promise<WeightMap> {
  const json = await openJson(file, 'bad_index', 'download the index file again');
  const shardOf = new Map<string, string>();
  let totalSize: number | undefined;
  let found = false;
  for (const key of json.object('the index object')) {
    if (key === 'metadata') totalSize = totalSizeOf(json.value());
    else if (key === 'weight_map') {
      found = true;
      readMap(json, file.path, shardOf);
    } else json.value();
  }
  json.end();
  if (!found) json.fail('weight_map is missing', 0);
  if (shardOf.size === 0) json.fail('weight_map lists no tensors', 0);
  return { shardOf, totalSize };
}

/** A strict reader over a whole small JSON file. */
export async function openJson(file: InputFile, code: string, hint: string): Promise<JsonReader> {
  if (file.byteLength > DEFAULT_HEADER_BYTES)
    throw new BadInputError(code, `the file has ${file.byteLength} bytes; at most ${DEFAULT_HEADER_BYTES} are read`, {
      file: file.path,
      hint,
    });
  return new JsonReader(await file.read(0, file.byteLength), { file: file.path, code, hint });
}

function readMap(json: JsonReader, file: string, shardOf: Map<string, string>): void {
  let keyAt = json.offset;
  for (const tensor of json.object('an object from tensor to file')) {
    if (shardOf.size === MAX_TENSORS)
      throw new BadInputError('too_many_tensors', `weight_map lists more than ${MAX_TENSORS} tensors`, {
        file,
        offset: keyAt,
        hint: 'use a checkpoint with fewer tensors',
      });
    json.tensor = tensor;
    const offset = json.offset;
    const shard = json.string('a file name');
    const place = { file, tensor, offset };
    if (!isPlainFileName(shard))
      throw new BadInputError(
        'unsafe_path',
        `weight_map names the file "${shorten(shard)}", which is not a plain file name`,
        { ...place, hint: 'do not trust this checkpoint; take it from its publisher' },
      );
    const refused = refusedName(shard);
    if (refused) throw refusal(refused, place, shard);
    if (!/\.safetensors$/i.test(shard))
      throw new BadInputError('bad_index', `weight_map names "${shorten(shard)}", which is not a .safetensors file`, {
        ...place,
        hint: 'download the index file again',
      });
    shardOf.set(tensor, shard);
    json.tensor = undefined;
    keyAt = json.offset;
  }
}

/** Only a warning depends on it, so that a number in another form is the same as none. */
function totalSizeOf(metadata: JsonValue): number | undefined {
  const value = metadata instanceof Map ? (metadata.get('total_size') as JsonValue | undefined) : undefined;
  if (value === null || typeof value !== 'object' || !('text' in value)) return undefined;
  const size = Number(value.text);
  return Number.isSafeInteger(size) && size >= 0 ? size : undefined;
}
