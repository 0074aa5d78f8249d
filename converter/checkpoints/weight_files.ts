import { BadInputError, UsageError } from '../errors.ts';
import { isTrainingState, leftoverIn } from './leftovers.ts';
import { refusal, refusedName } from './recognize.ts';

/** Which files of a folder hold the weights. */
export type WeightFiles =
  | { readonly kind: 'single'; readonly name: string }
  | { readonly kind: 'index'; readonly name: string }
  /** Numbered shards without an index: every name of the series, present or not. */
  | { readonly kind: 'series'; readonly names: readonly string[] };

const INDEX_SUFFIX = '.safetensors.index.json';
const SHARD = /^(.*)-(\d{5})-of-(\d{5})\.safetensors$/;
/** PEFT's weights, and MLX's. */
const ADAPTERS = ['adapter_model.safetensors', 'adapters.safetensors'];
/** More would be a hostile name, not a checkpoint. */
const MAX_SHARDS = 10_000;

/** The number of shards that a shard's name states. */
export function shardCount(name: string): number | undefined {
  const count = SHARD.exec(name)?.[3];
  return count === undefined ? undefined : Number(count);
}

/**
 * Picks the weights by the names transformers uses: model.safetensors first, then an index, then numbered shards, then
 * a .safetensors file beside config.json. Undefined when the folder holds none.
 * @throws UsageError when several could be meant.
 */
export function findWeightFiles(
  folder: string,
  names: readonly string[],
): { files: WeightFiles; warnings: readonly string[] } | undefined {
  const indexes = names.filter((name) => name.endsWith(INDEX_SUFFIX));
  const series = seriesOf(folder, names);
  const others = names.filter(
    (name) => name.endsWith('.safetensors') && !ADAPTERS.includes(name) && !SHARD.test(name) && !isTrainingState(name),
  );
  if (names.includes('model.safetensors')) {
    const unused = [...indexes, ...series.flat().filter((name) => names.includes(name))];
    const warnings =
      unused.length > 0
        ? [`The weights were read from model.safetensors; ${unused.join(', ')} lay beside it and were not used.`]
        : [];
    return { files: { kind: 'single', name: 'model.safetensors' }, warnings };
  }
  if (indexes.length > 0)
    return { files: { kind: 'index', name: onlyOne(folder, indexes, 'index files') }, warnings: [] };
  if (series.length > 0) {
    const chosen =
      series[
        onlyOne(
          folder,
          series.map((_, i) => i),
          'series of shards',
          (i) => series[i]![0]!,
        )
      ]!;
    return {
      files: { kind: 'series', names: chosen },
      warnings: ['There is no index file: the tensors were taken from all numbered shards.'],
    };
  }
  if (others.length > 0 && names.includes('config.json'))
    return { files: { kind: 'single', name: onlyOne(folder, others, '.safetensors files') }, warnings: [] };
  return undefined;
}

/** Whether an adapter lies in a folder with these entries. */
export function holdsAdapter(names: readonly string[]): boolean {
  return names.includes('adapter_config.json') || ADAPTERS.some((name) => names.includes(name));
}

/** Why a folder without readable weights is refused, when its files say what it is. @throws BadInputError then */
export function refuseFolder(folder: string, names: readonly string[]): void {
  if (holdsAdapter(names))
    throw new BadInputError('adapter_only', 'the folder holds a PEFT adapter, not a model', {
      file: folder,
      hint: 'give the base model as the checkpoint, and this folder with --adapter',
    });
  const leftover = leftoverIn(folder, names);
  if (leftover) throw leftover;
  for (const name of names) {
    const refused = isTrainingState(name) ? undefined : refusedName(name);
    if (refused) throw refusal(refused, { file: `${folder}/${name}` });
  }
}

function seriesOf(folder: string, names: readonly string[]): string[][] {
  const found = new Map<string, string[]>();
  for (const name of names) {
    const [, stem, , total] = SHARD.exec(name) ?? [];
    if (stem === undefined || total === undefined) continue;
    const count = Number(total);
    if (count < 1 || count > MAX_SHARDS)
      throw new BadInputError('bad_shards', `"${name}" speaks of ${count} shards`, {
        file: folder,
        hint: 'download the checkpoint again',
      });
    const key = `${stem}-of-${total}`;
    if (!found.has(key))
      found.set(
        key,
        Array.from({ length: count }, (_, i) => `${stem}-${String(i + 1).padStart(5, '0')}-of-${total}.safetensors`),
      );
  }
  return [...found.values()];
}

function onlyOne<T>(
  folder: string,
  candidates: readonly T[],
  what: string,
  show: (candidate: T) => string = String,
): T {
  if (candidates.length > 1)
    throw new UsageError(
      'ambiguous_checkpoint',
      `the folder holds several ${what}: ${candidates.map(show).join(', ')}`,
      { file: folder, hint: 'keep one of them in the folder, or give the path of the one to convert' },
    );
  return candidates[0]!;
}
