import { createHash } from 'node:crypto';
import type { ArtifactFile, ChunkRequest } from '../../backend.ts';
import { textFile } from '../../text_file.ts';
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
 * The files of a bundle: shards, shaders, and last the manifest, which names the hash of every shard and so waits until
 * they are written. @throws Error from the manifest's chunks when its reader knows no hashes
 */
export function bundleFiles(
  { precision, model, plan, weights, shaders }: BundleContents,
  shardBytes?: number,
): readonly ArtifactFile[] {
  const layout = layOutShards(weights, shardBytes);
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
  return [
    ...layout.shards.map((shard) => ({
      path: shard.path,
      byteLength: shard.byteLength,
      chunks: (request?: ChunkRequest) => shardChunks(shard, request),
    })),
    ...shaders.map(({ path, text }) => textFile(path, text)),
    {
      path: MANIFEST_PATH,
      byteLength: manifestByteLength(manifest(() => NO_HASH)),
      async *chunks({ from = 0, sha256Of }: ChunkRequest = {}) {
        if (!sha256Of) throw new Error(`${MANIFEST_PATH} names the hashes of shards: whoever writes them must tell`);
        const hashes = new Map<string, string>();
        for (const { path } of layout.shards) hashes.set(path, await sha256Of(path));
        yield { bytes: (await manifestBytes(manifest((path) => hashes.get(path)!))).slice(from) };
      },
    },
  ];
}
