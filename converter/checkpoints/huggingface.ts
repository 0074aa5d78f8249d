import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { BadInputError } from '../errors.ts';
import { backboneConfig } from './backbone_config.ts';
import { SIDECAR_NAMES, type Checkpoint, type SidecarName } from './checkpoint.ts';
import { downloadHint } from './hub_cache.ts';
import { FilePool, InputFile, type OpenFile } from './input_file.ts';
import { resolveInside } from './safe_path.ts';
import { readSafetensors, type SafetensorsOptions } from './safetensors.ts';
import { checkLayersAgree, joinShards, type Shard } from './shards.ts';
import { findWeightFiles, refuseFolder, shardCount } from './weight_files.ts';
import { openJson, readWeightMap, type WeightMap } from './weight_map.ts';

export interface HuggingFaceOptions extends SafetensorsOptions {
  /** Replaces the system's files: for tests. */
  readonly openFile?: OpenFile;
}

/**
 * Opens a Hugging Face folder, or one .safetensors file with what lies beside it: weights in one file, in the shards of
 * an index, or in numbered shards; config.json; sidecars.
 * @throws BadInputError when files are missing, damaged, of another kind or contradict each other; UsageError when
 * several could be meant.
 */
export async function openHuggingFace(path: string, options: HuggingFaceOptions = {}): Promise<Checkpoint> {
  const pool = new FilePool(options.openFile);
  try {
    return await openWith(resolve(path), pool, options);
  } catch (error) {
    await pool.close();
    throw error;
  }
}

async function openWith(path: string, pool: FilePool, options: HuggingFaceOptions): Promise<Checkpoint> {
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
  const folder = isFolder ? path : dirname(path);
  const weights = isFolder
    ? await openFolder(folder, pool, options)
    : await openSingle(folder, basename(path), pool, options);
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
    ...(await readConfig(folder, pool)),
    sidecars: await findSidecars(folder),
    warnings: [...warnings, ...joining],
    async checkUnchanged() {
      for (const file of files) await file.checkUnchanged();
    },
    close: () => pool.close(),
  };
}

interface Weights {
  readonly shards: readonly Shard[];
  readonly map?: WeightMap & { readonly file: string };
  readonly warnings: string[];
}

async function openSingle(folder: string, name: string, pool: FilePool, options: HuggingFaceOptions): Promise<Weights> {
  const count = shardCount(name);
  if (count !== undefined && count > 1)
    throw new BadInputError('single_shard', `this is one of ${count} shards`, {
      file: join(folder, name),
      hint: `give the folder: ${folder}`,
    });
  return { shards: await openShards(folder, [name], pool, options), warnings: [] };
}

async function openFolder(folder: string, pool: FilePool, options: HuggingFaceOptions): Promise<Weights> {
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
    return { shards: await openShards(folder, [files.name], pool, options), warnings: [...warnings] };
  if (files.kind === 'series')
    return { shards: await openShards(folder, files.names, pool, options), warnings: [...warnings] };
  const index = await openInside(folder, files.name, pool);
  if (!index) throw missing(folder, [files.name], '');
  const map = { ...(await readWeightMap(index)), file: index.path };
  const shards = await openShards(folder, [...new Set(map.shardOf.values())].toSorted(), pool, options, map);
  return { shards, map, warnings: [...warnings] };
}

/** Opens every shard, once all are known to be there: a user with half a download learns of all of it. */
async function openShards(
  folder: string,
  names: readonly string[],
  pool: FilePool,
  options: HuggingFaceOptions,
  map?: WeightMap,
): Promise<readonly Shard[]> {
  const files = new Map<string, InputFile | undefined>();
  for (const name of names) files.set(name, await openInside(folder, name, pool));
  const absent = names.filter((name) => !files.get(name));
  if (absent.length > 0) throw missing(folder, absent, describeSizes(files, map));
  const shards: Shard[] = [];
  for (const file of files.values()) {
    shards.push({ file: file!, ...(await readSafetensors(file!, options)) });
  }
  return shards;
}

async function openInside(folder: string, name: string, pool: FilePool): Promise<InputFile | undefined> {
  const path = await resolveInside(folder, name);
  return path === undefined ? undefined : InputFile.open(path, name, pool);
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

async function readConfig(folder: string, pool: FilePool): Promise<Pick<Checkpoint, 'config' | 'modelType'>> {
  const file = await openInside(folder, 'config.json', pool);
  if (!file) return { config: undefined };
  const json = await openJson(file, 'bad_config', 'take config.json from the model page again');
  const config = json.plain();
  json.end();
  if (config === null || typeof config !== 'object' || Array.isArray(config))
    return json.fail('config.json must be a JSON object', 0);
  const { model_type: modelType } = config as { readonly model_type?: unknown };
  return { config: backboneConfig(config), ...(typeof modelType === 'string' && { modelType }) };
}

/** The sidecars that lie in a folder, as absolute paths. @throws BadInputError for a link that leads out of it. */
export async function findSidecars(folder: string): Promise<ReadonlyMap<SidecarName, string>> {
  const found = new Map<SidecarName, string>();
  for (const name of SIDECAR_NAMES) {
    const path = await resolveInside(folder, name);
    if (path !== undefined && (await stat(path)).isFile()) found.set(name, path);
  }
  return found;
}
