import { createHash } from 'node:crypto';
import type { ArtifactFile } from '../../backend.ts';
import type { ProgramMetadata } from '../../../ir/metadata.ts';
import { MANIFEST_PATH, type WgslManifest } from './manifest.ts';
import type { Plan } from './plan.ts';
import type { StoredWeight } from '../../weight_chunks.ts';
import { layOutShards, shardChunks } from './shards.ts';
import { manifestByteLength, manifestBytes } from './write_manifest.ts';

export interface BundleContents {
  readonly precision: string;
  readonly model: ProgramMetadata;
  /** Without what follows from the files. */
  readonly plan: Omit<Plan, 'shards' | 'weights' | 'shaders'>;
  readonly weights: readonly StoredWeight[];
  readonly shaders: readonly { readonly path: string; readonly text: string }[];
}

const NO_HASH = '0'.repeat(64);

/**
 * The files of a bundle: shards, shaders, and last the manifest, which is made when every shard has been read once and
 * its hash is known. @throws Error from the manifest's chunks when a shard was not read before
 */
export function bundleFiles(
  { precision, model, plan, weights, shaders }: BundleContents,
  shardBytes?: number,
): readonly ArtifactFile[] {
  const layout = layOutShards(weights, shardBytes);
  const hashes = new Map<string, string>();
  const texts = shaders.map(({ path, text }) => ({ path, bytes: new TextEncoder().encode(text) }));
  const manifest = (hashOf: (path: string) => string): WgslManifest => ({
    precision,
    model,
    plan: {
      ...plan,
      weights: layout.ranges,
      shards: layout.shards.map(({ path, byteLength }) => ({ path, byteLength, sha256: hashOf(path) })),
      shaders: texts.map(({ path, bytes }) => ({
        path,
        byteLength: bytes.byteLength,
        sha256: createHash('sha256').update(bytes).digest('hex'),
      })),
    },
  });
  const known = (path: string): string => {
    const hash = hashes.get(path);
    if (!hash) throw new Error(`${path} has not been written: its hash belongs into ${MANIFEST_PATH}`);
    return hash;
  };
  return [
    ...layout.shards.map((shard) => ({
      path: shard.path,
      byteLength: shard.byteLength,
      chunks: () => shardChunks(shard, (hash) => hashes.set(shard.path, hash)),
    })),
    ...texts.map(({ path, bytes }) => bytesFile(path, bytes.byteLength, () => bytes.slice())),
    bytesFile(MANIFEST_PATH, manifestByteLength(manifest(() => NO_HASH)), () => manifestBytes(manifest(known))),
  ];
}

function bytesFile(path: string, byteLength: number, make: () => Uint8Array | Promise<Uint8Array>): ArtifactFile {
  return {
    path,
    byteLength,
    async *chunks() {
      yield { bytes: await make() };
    },
  };
}
