import { MANIFEST_PATH, type WgslManifest } from '../bundle/manifest.ts';
import { ManifestError } from '../bundle/manifest_error.ts';
import type { Shard } from '../bundle/plan.ts';
import { readManifest } from '../bundle/read_manifest.ts';
import { ShardCache } from './cache.ts';
import { givenDevice, openDevice, type DeviceSource } from './device.ts';
import { RuntimeError } from '../../client/errors.ts';
import { Executor } from './executor.ts';
import { hashing, sha256, type Hasher } from './hash.ts';
import { WgslDeviceModel } from './device_model.ts';
import { openSource, type BundleLocation } from '../../client/sources/open_source.ts';
import type { LoadOptions, Started } from './load_options.ts';
import { Model } from './model.ts';
import type { BundleSource } from '../../client/sources/source.ts';

/**
 * A bundle from a URL, a folder (in Node) or files, ready to run: weights go to the device as they come, while shaders
 * compile. Shaders and weights are checked against the SHA-256 that the manifest states.
 * @throws RuntimeError, see `code`; the signal's reason. Nothing is held then.
 */
export async function load(location: BundleLocation, options: LoadOptions = {}): Promise<Model> {
  options.signal?.throwIfAborted();
  const source = openSource(location, MANIFEST_PATH);
  const manifest = await manifestOf(source, options.signal);
  const start = (changes: LoadOptions = {}) => startModel(source, manifest, { ...options, ...changes });
  return new Model(source, manifest, await start(), start);
}

/**
 * The same without what drives it as a model: for whoever runs its graphs one by one, on a device from `devices`.
 */
export async function start(
  location: BundleLocation,
  options: LoadOptions = {},
  devices?: DeviceSource,
): Promise<Started> {
  const source = openSource(location, MANIFEST_PATH);
  return startModel(source, await manifestOf(source, options.signal), options, devices);
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
  const { device: given, gpu, onProgress, signal, cache = source.isRemote } = options;
  const { device, release, adapter, language } = given
    ? givenDevice(given, plan, gpu)
    : await openDevice(plan, gpu, devices);
  const shards = new ShardCache(cache);
  const newHasher = hashing();
  try {
    const executor = await Executor.create(device, plan, {
      readShard: (index, signal) => shardBytes(source, plan.shards[index]!, { shards, newHasher, signal }),
      async readShader(index, signal) {
        const { path, sha256: expected } = plan.shaders[index]!;
        const bytes = await source.read(path, signal);
        if ((await sha256(bytes)) !== expected) throw damaged(source, path);
        return new TextDecoder().decode(bytes);
      },
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

interface ShardReading {
  readonly shards: ShardCache;
  readonly newHasher: (byteLength: number) => Hasher;
  readonly signal: AbortSignal;
}

/** A shard from where it is nearest. What the cache holds and is not as it should be is fetched and kept again. */
async function* shardBytes(
  source: BundleSource,
  shard: Shard,
  { shards, newHasher, signal }: ShardReading,
): AsyncGenerator<Uint8Array> {
  const { path, byteLength, sha256: hash } = shard;
  const cached = await shards.read(hash, byteLength, newHasher(byteLength));
  if (cached) return yield* cached;
  yield* shards.keep(hash, verified(source, shard, source.stream(path, byteLength, signal), newHasher(byteLength)));
}

/** The same bytes. @throws RuntimeError `damaged` at their end when they are others than the manifest says */
async function* verified(
  source: BundleSource,
  { path, byteLength, sha256: hash }: Shard,
  chunks: AsyncIterable<Uint8Array>,
  hasher: Hasher,
): AsyncGenerator<Uint8Array> {
  let length = 0;
  for await (const chunk of chunks) {
    hasher.update(chunk);
    length += chunk.length;
    yield chunk;
  }
  if (length < byteLength)
    throw new RuntimeError(
      'damaged',
      `${source.name}: ${path} ends after ${length} of ${byteLength} bytes`,
      'copy or convert the bundle again',
    );
  if ((await hasher.digest()) !== hash) throw damaged(source, path);
}

function damaged(source: BundleSource, path: string): RuntimeError {
  return new RuntimeError(
    'damaged',
    `${source.name}: ${path} is not what the manifest says`,
    'copy or convert the bundle again',
  );
}
