import type { TensorData } from '../../ir/tensor.ts';
import { BadInputError } from '../errors.ts';
import type { InputFile } from '../inputs/input_file.ts';
import type { SafetensorsContent } from './safetensors.ts';
import { shorten } from './strict_json.ts';
import type { WeightMap } from './weight_map.ts';

export interface Shard extends SafetensorsContent {
  readonly file: InputFile;
}

/** What all shards hold together. */
export interface Joined extends SafetensorsContent {
  readonly warnings: string[];
}

/** A tensor as far as shards are compared. */
type Held = Pick<TensorData, 'shape' | 'byteLength'> & {
  readonly dtype: string;
  readonly from?: { readonly byteOffset: number };
};

/**
 * All tensors of all shards, in shard order, checked against the index.
 * @throws BadInputError when a tensor is in two shards, or is not in the shard that the index names.
 */
export function joinShards(shards: readonly Shard[], map?: WeightMap & { readonly file: string }): Joined {
  const tensors = new Map<string, Held>();
  const homes = new Map<string, InputFile>();
  const warnings: string[] = [];
  for (const shard of shards)
    for (const [name, data] of heldBy(shard)) {
      const { file } = shard;
      const other = homes.get(name);
      if (other)
        throw new BadInputError(
          'duplicate_tensor',
          `"${shorten(name)}" is in two shards: ${describe(tensors.get(name)!)} in ${other.name} and ${describe(data)} in ${file.name}`,
          {
            ...placeOf(data, file, name),
            hint: 'keep only the shards of one revision in the folder',
          },
        );
      homes.set(name, file);
      tensors.set(name, data);
    }
  if (map) {
    checkListed(shards, homes, map);
    const unlisted = [...tensors.keys()].filter((name) => !map.shardOf.has(name));
    if (unlisted.length > 0)
      warnings.push(`The shards hold ${unlisted.length} tensors that the index does not list: ${someOf(unlisted)}.`);
    const size = [...tensors.values()].reduce((sum, { byteLength }) => sum + byteLength, 0);
    if (map.totalSize !== undefined && map.totalSize !== size)
      warnings.push(`The index states a total_size of ${map.totalSize} bytes; the tensors have ${size}.`);
  }
  return {
    tensors: new Map(shards.flatMap((shard) => [...shard.tensors])),
    unreadable: new Map(shards.flatMap((shard) => [...shard.unreadable])),
    metadata: new Map(shards.flatMap((shard) => [...shard.metadata])),
    warnings,
  };
}

/** All tensors of a shard, those of other dtypes last. */
function heldBy({ tensors, unreadable }: Shard): readonly (readonly [string, Held])[] {
  return [...tensors, ...unreadable];
}

function checkListed(
  shards: readonly Shard[],
  homes: ReadonlyMap<string, InputFile>,
  map: WeightMap & { readonly file: string },
): void {
  const absent = [...map.shardOf].filter(([tensor, shard]) => homes.get(tensor)?.name !== shard);
  const [first] = absent;
  if (!first) return;
  const [tensor, shardName] = first;
  const shard = shards.find(({ file }) => file.name === shardName)!;
  const elsewhere = homes.get(tensor);
  const unlisted = heldBy(shard).flatMap(([name]) => (map.shardOf.get(name) === shardName ? [] : [name]));
  const revision =
    unlisted.length > 0
      ? `; that shard holds ${unlisted.length} tensors that the index does not place there (${someOf(unlisted)}), so it is probably of another revision`
      : '';
  throw new BadInputError(
    'missing_tensor',
    `the index places ${absent.length === 1 ? `"${shorten(tensor)}"` : `${absent.length} tensors (${someOf(absent.map(([name]) => name))})`} in ${shardName}, which lacks ${absent.length === 1 ? 'it' : 'them'}${elsewhere ? `; ${elsewhere.name} has it` : ''}${revision}`,
    {
      file: shard.file.path,
      tensor,
      hint: `download ${shardName} and ${baseName(map.file)} again, from the same revision`,
    },
  );
}

/**
 * Layers of one model have the same shapes: when a layer's tensor in one shard has another shape or dtype than the same
 * tensor of another layer in another shard, the shards are of different revisions.
 * @throws BadInputError that names both.
 */
export function checkLayersAgree(shards: readonly Shard[]): void {
  const firsts = new Map<string, { name: string; data: Held; file: InputFile }>();
  for (const shard of shards)
    for (const [name, data] of heldBy(shard)) {
      const { file } = shard;
      const pattern = name.replace(/\blayers\.\d+\./, 'layers.*.');
      if (pattern === name) continue;
      const first = firsts.get(pattern);
      if (!first) firsts.set(pattern, { name, data, file });
      else if (first.file !== file && describe(first.data) !== describe(data))
        throw new BadInputError(
          'shard_revision',
          `"${shorten(name)}" is ${describe(data)} in ${file.name}, but "${shorten(first.name)}" is ${describe(first.data)} in ${first.file.name}: the shards are of different revisions`,
          {
            ...placeOf(data, file, name),
            hint: `download ${file.name} and ${first.file.name} again, from the same revision`,
          },
        );
    }
}

function placeOf(data: Held, file: InputFile, tensor: string): { file: string; tensor: string; offset?: number } {
  return { file: file.path, tensor, ...(data.from && { offset: data.from.byteOffset }) };
}

function describe(data: Held): string {
  return `${data.dtype}[${data.shape.join(', ')}]`;
}

function someOf(names: readonly string[]): string {
  const shown = names
    .slice(0, 3)
    .map((name) => `"${shorten(name)}"`)
    .join(', ');
  return names.length > 3 ? `${shown}, …` : shown;
}

function baseName(path: string): string {
  return path.replace(/^.*[\\/]/, '');
}
