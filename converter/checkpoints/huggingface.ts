import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { BadInputError } from '../errors.ts';
import type { InputFile } from '../inputs/input_file.ts';
import { inputsOr, type Inputs } from '../inputs/inputs.ts';
import { backboneConfig } from './backbone_config.ts';
import { SIDECAR_NAMES, type Checkpoint, type SidecarName } from './checkpoint.ts';
import { downloadHint } from './hub_cache.ts';
import { resolveInside } from './safe_path.ts';
import { readSafetensors, type SafetensorsOptions } from './safetensors.ts';
import { checkLayersAgree, joinShards, type Shard } from './shards.ts';
import { findWeightFiles, refuseFolder, shardCount } from './weight_files.ts';
import { openJson, readWeightMap, type WeightMap } from './weight_map.ts';

/**
 * Opens a Hugging Face folder, or one .safetensors file with what lies beside it: weights in one file, in the shards of
 * an index, or in numbered shards; config.json; sidecars.
 * @throws BadInputError when files are missing, damaged, of another kind or contradict each other; UsageError when
 * several could be meant.
 */
export async function openHuggingFace(path: string, options: SafetensorsOptions = {}): Promise<Checkpoint> {
  const { inputs, close } = inputsOr(options.inputs);
  try {
    return { ...(await openWith(resolve(path), inputs, options)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openWith(path: string, inputs: Inputs, options: SafetensorsOptions): Promise<Omit<Checkpoint, 'close'>> {
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
  const folder = isFolder ? path : dirname(path);
  const weights = isFolder
    ? await openFolder(folder, inputs, options)
    : await openSingle(folder, basename(path), inputs, options);
  const { shards, warnings } = weights;
  const { tensors, unreadable, metadata, warnings: joining } = joinShards(shards, weights.map);
  checkLayersAgree(shards);
  if (tensors.size + unreadable.size === 0) warnings.push(`${basename(path)} holds no tensors.`);
  const files = shards.map(({ file }) => file);
  return {
    format: 'huggingface',
    path,
    tensors,
    unreadable,
    metadata,
    files,
    ...(await readConfig(folder, inputs)),
    sidecars: await findSidecars(folder, inputs),
    warnings: [...warnings, ...joining],
    checkUnchanged: () => inputs.checkUnchanged(),
  };
}

interface Weights {
  readonly shards: readonly Shard[];
  readonly map?: WeightMap & { readonly file: string };
  readonly warnings: string[];
}

async function openSingle(folder: string, name: string, inputs: Inputs, options: SafetensorsOptions): Promise<Weights> {
  const count = shardCount(name);
  if (count !== undefined && count > 1)
    throw new BadInputError('single_shard', `this is one of ${count} shards`, {
      file: join(folder, name),
      hint: `give the folder: ${folder}`,
    });
  return { shards: await openShards(folder, [name], inputs, options), warnings: [] };
}

async function openFolder(folder: string, inputs: Inputs, options: SafetensorsOptions): Promise<Weights> {
  const names = (await readdir(folder)).toSorted();
  const found = findWeightFiles(folder, names);
  if (!found) {
    refuseFolder(folder, names);
    throw new BadInputError('no_weights', 'the folder holds no model.safetensors and no index of shards', {
      file: folder,
      hint: 'give the folder that has config.json and the .safetensors files',
    });
  }
  const { files, warnings } = found;
  if (files.kind === 'single')
    return { shards: await openShards(folder, [files.name], inputs, options), warnings: [...warnings] };
  if (files.kind === 'series')
    return { shards: await openShards(folder, files.names, inputs, options), warnings: [...warnings] };
  const index = await openInside(folder, files.name, inputs);
  if (!index) throw missing(folder, [files.name], '');
  const map = { ...(await readWeightMap(index)), file: index.path };
  const shards = await openShards(folder, [...new Set(map.shardOf.values())].toSorted(), inputs, options, map);
  return { shards, map, warnings: [...warnings] };
}

/** Opens every shard, once all are known to be there: a user with half a download learns of all of it. */
async function openShards(
  folder: string,
  names: readonly string[],
  inputs: Inputs,
  options: SafetensorsOptions,
  map?: WeightMap,
): Promise<readonly Shard[]> {
  const files = new Map<string, InputFile | undefined>();
  for (const name of names) files.set(name, await openInside(folder, name, inputs));
  const absent = names.filter((name) => !files.get(name));
  if (absent.length > 0) throw missing(folder, absent, describeSizes(files, map));
  const shards: Shard[] = [];
  for (const file of files.values()) {
    shards.push({ file: file!, ...(await readSafetensors(file!, options)) });
  }
  return shards;
}

/** A file of a folder; undefined where there is none. @throws as resolveInside and Inputs.open do */
export async function openInside(folder: string, name: string, inputs: Inputs): Promise<InputFile | undefined> {
  const path = await resolveInside(folder, name);
  return path === undefined ? undefined : inputs.open(path);
}

function missing(folder: string, names: readonly string[], sizes: string): BadInputError {
  const list = names.length <= 20 ? names.join(', ') : `${names.slice(0, 20).join(', ')} and ${names.length - 20} more`;
  return new BadInputError(
    'missing_shards',
    `${names.length === 1 ? 'a file is' : `${names.length} files are`} missing: ${list}${sizes}`,
    {
      file: join(folder, names[0]!),
      hint: downloadHint(folder, 'download the missing files into the folder'),
    },
  );
}

/** What is there and, as far as the index tells, how much is to come. */
function describeSizes(files: ReadonlyMap<string, InputFile | undefined>, map: WeightMap | undefined): string {
  const present = [...files.values()].filter((file) => file !== undefined);
  const here = present.reduce((sum, { byteLength }) => sum + byteLength, 0);
  const listed = present
    .map(({ name, byteLength }) => `${name} (${byteLength} bytes)`)
    .slice(0, 20)
    .join(', ');
  const rest =
    map?.totalSize !== undefined && map.totalSize > here
      ? `; about ${map.totalSize - here} of ${map.totalSize} bytes are missing`
      : '';
  return `${present.length > 0 ? `; present: ${listed}` : ''}${rest}`;
}

async function readConfig(
  folder: string,
  inputs: Inputs,
): Promise<Pick<Checkpoint, 'config' | 'configFile' | 'modelType'>> {
  const file = await openInside(folder, 'config.json', inputs);
  if (!file) return { config: undefined };
  const json = await openJson(file, 'bad_config', 'take config.json from the model page again');
  const config = json.plain();
  json.end();
  if (config === null || typeof config !== 'object' || Array.isArray(config))
    return json.fail('config.json must be a JSON object', 0);
  const { model_type: modelType } = config as { readonly model_type?: unknown };
  return { config: backboneConfig(config), configFile: file, ...(typeof modelType === 'string' && { modelType }) };
}

/** The sidecars that lie in a folder. @throws BadInputError for a link that leads out of it, and what is no file */
export async function findSidecars(folder: string, inputs: Inputs): Promise<ReadonlyMap<SidecarName, InputFile>> {
  const found = new Map<SidecarName, InputFile>();
  for (const name of SIDECAR_NAMES) {
    const file = await openInside(folder, name, inputs);
    if (file) found.set(name, file);
  }
  return found;
}
