import { MANIFEST_PATH, type WgslManifest } from '../bundle/manifest.ts';
import { ManifestError } from '../bundle/manifest_error.ts';
import type { Plan, Shard } from '../bundle/plan.ts';
import { readManifest } from '../bundle/read_manifest.ts';
import { checkedSource } from '../../client/integrity/checked_source.ts';
import { readFileHashes } from '../../client/integrity/file_hashes.ts';
import { ShardCache } from './cache.ts';
import { givenDevice, openDevice, type DeviceSource } from './device.ts';
import { RuntimeError } from '../../client/errors.ts';
import { Executor } from './executor.ts';
import { WgslDeviceModel } from './device_model.ts';
import { openSource, type BundleLocation } from '../../client/sources/open_source.ts';
import type { LoadOptions, Started } from './load_options.ts';
import { Model } from './model.ts';
import type { BundleSource } from '../../client/sources/source.ts';

/**
 * A bundle from a URL, a folder (in Node) or files, ready to run: weights go to the device as they come, while shaders
 * compile. Every file that is read, now or later, is held to the sha256 that manifest.json states, weights as they
 * stream by: the model is there when all of them are right.
 * @throws RuntimeError, see `code`: `damaged` names the file that is not as written; the signal's reason. Nothing is
 * held then.
 */
export async function load(location: BundleLocation, options: LoadOptions = {}): Promise<Model> {
  options.signal?.throwIfAborted();
  const unchecked = openSource(location, MANIFEST_PATH);
  const source =
    options.integrity === false ? unchecked : checkedSource(unchecked, await readFileHashes(unchecked, options.signal));
  const manifest = await manifestOf(source, options.signal);
  const start = (changes: LoadOptions = {}) => startModel(source, manifest, { ...options, ...changes });
  return new Model(source, manifest, await start(), start);
}

/** A bundle whose manifest is read, and nothing else. */
export interface ReadBundle {
  readonly plan: Plan;
  /** Starts it, or a part of its plan, as `load` does. */
  start(part?: Plan): Promise<Started>;
}

/**
 * The same without what drives it as a model: for whoever runs its graphs one by one, on a device from `devices`, and
 * has checked its files.
 * @throws RuntimeError, see `code`
 */
export async function readBundle(
  location: BundleLocation,
  devices?: DeviceSource,
  options: Pick<LoadOptions, 'cache'> = {},
): Promise<ReadBundle> {
  const source = openSource(location, MANIFEST_PATH);
  const manifest = await manifestOf(source, undefined);
  const { plan } = manifest;
  return {
    plan,
    start: (part = plan) => startModel(source, { ...manifest, plan: part }, { ...options, integrity: false }, devices),
  };
}

async function manifestOf(source: BundleSource, signal: AbortSignal | undefined): Promise<WgslManifest> {
  const bytes = await source.read(MANIFEST_PATH, signal);
  return readManifest(bytes).catch((cause: unknown) => {
    if (!(cause instanceof ManifestError)) throw cause;
    throw new RuntimeError(
      cause.code === 'newer' ? 'newer_version' : 'damaged',
      `${source.name}: ${cause.message}`,
      undefined,
      { cause },
    );
  });
}

async function startModel(
  source: BundleSource,
  { plan, model, precision }: WgslManifest,
  options: LoadOptions,
  devices?: DeviceSource,
): Promise<Started> {
  const { device: given, gpu, onProgress, signal, cache = source.isRemote, integrity = true } = options;
  const { device, release, adapter, language } = given
    ? givenDevice(given, plan, gpu)
    : await openDevice(plan, gpu, devices);
  const shards = new ShardCache(cache, integrity);
  try {
    const executor = await Executor.create(device, plan, {
      readShard: (index, signal) => shardBytes(source, plan.shards[index]!, shards, signal),
      readShader: async (index, signal) =>
        new TextDecoder().decode(await source.read(plan.shaders[index]!.path, signal)),
      language,
      ...(signal && { signal }),
      ...(onProgress && { onProgress: (loaded: number, total: number) => onProgress({ loaded, total }) }),
    });
    return {
      model: new WgslDeviceModel(executor, model),
      info: {
        precision,
        adapter,
        features: [...device.features].sort(),
        choices: executor.choices,
        cache: shards.report,
        milliseconds: executor.loading,
      },
      dispose() {
        executor.dispose();
        release();
      },
    };
  } catch (error) {
    release();
    throw error;
  }
}

/**
 * A shard from where it is nearest. What the cache holds and is not as it should be is fetched and kept again: a source
 * that checks its files gives the last of their bytes when they are right.
 */
async function* shardBytes(
  source: BundleSource,
  { path, byteLength, sha256 }: Shard,
  shards: ShardCache,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const cached = await shards.read(sha256, byteLength);
  if (cached) return yield* cached;
  yield* shards.keep(sha256, source.stream(path, byteLength, signal));
}
