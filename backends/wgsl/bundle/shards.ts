import type { ArtifactChunk, ChunkRequest } from '../../backend.ts';
import { weightChunks, type StoredWeight } from '../../weight_chunks.ts';
import { SHARD_BYTES, WEIGHT_ALIGNMENT } from './manifest.ts';
import type { WeightRange } from './plan.ts';

/** A file of weights and where its ranges lie. */
export interface ShardLayout {
  readonly path: string;
  readonly byteLength: number;
  readonly parts: readonly { readonly offset: number; readonly source: StoredWeight }[];
}

export interface WeightLayout {
  readonly shards: readonly ShardLayout[];
  /** In the order of the data. */
  readonly ranges: readonly WeightRange[];
}

/**
 * Ranges one behind the other, aligned, each in the first shard that has room for it, so that at most one shard is not
 * even half full and that requests are few; none is cut.
 * @throws RangeError for data that is larger than a shard: the compiler cuts those
 */
export function layOutShards(weights: readonly StoredWeight[], shardBytes = SHARD_BYTES): WeightLayout {
  const shards: { byteLength: number; parts: { offset: number; source: StoredWeight }[] }[] = [];
  const ranges = weights.map((source): WeightRange => {
    const { byteLength } = source.data;
    if (byteLength > shardBytes)
      throw new RangeError(`${source.name} has ${byteLength} bytes: a shard has at most ${shardBytes}`);
    const free = shards.findIndex((candidate) => align(candidate.byteLength) + byteLength <= shardBytes);
    const index = free < 0 ? shards.push({ byteLength: 0, parts: [] }) - 1 : free;
    const shard = shards[index]!;
    const offset = align(shard.byteLength);
    shard.parts.push({ offset, source });
    shard.byteLength = offset + byteLength;
    return { name: source.name, shard: index, offset, byteLength };
  });
  const digits = Math.max(3, String(shards.length - 1).length);
  // whole vectors of 16 bytes, as kernels read them
  return {
    shards: shards.map(({ byteLength, parts }, i) => ({
      path: `weights/${String(i).padStart(digits, '0')}.bin`,
      byteLength: Math.ceil(byteLength / 16) * 16,
      parts,
    })),
    ranges,
  };
}

function align(offset: number): number {
  return Math.ceil(offset / WEIGHT_ALIGNMENT) * WEIGHT_ALIGNMENT;
}

/** The bytes of a shard from one on: each range's own, and zeros up to the next. */
export async function* shardChunks(
  { path, byteLength, parts }: ShardLayout,
  { from = 0 }: ChunkRequest = {},
): AsyncGenerator<ArtifactChunk> {
  let at = from;
  for (const { offset, source } of parts) {
    const end = offset + source.data.byteLength;
    if (end <= at) continue;
    if (offset > at) yield { bytes: new Uint8Array(offset - at) };
    yield* weightChunks(source, path, offset, Math.max(0, at - offset));
    at = end;
  }
  if (byteLength > at) yield { bytes: new Uint8Array(byteLength - at) };
}
