import type { ArtifactChunk, ArtifactFile, ChunkRequest } from '../../backend.ts';
import { weightChunks } from '../../weight_chunks.ts';
import type { TfWeight } from '../graph.ts';
import { specOf } from '../model_json.ts';
import type { WeightGroup } from '../plan.ts';

/** The most that a file of weights has: browsers fetch each whole, and cache none that is much larger. */
const FILE_BYTES = 64 * 1024 * 1024;

export interface LaidOut {
  /** Of the weightsManifest, in order; paths are relative to the folder. */
  readonly groups: readonly WeightGroup[];
  readonly files: readonly ArtifactFile[];
}

/** Weights in files in order, none over 64 MiB unless one weight alone is larger; a group is a file. */
export function layOutWeights(folder: string, weights: readonly TfWeight[], fileBytes = FILE_BYTES): LaidOut {
  const files: { path: string; byteLength: number; weights: TfWeight[] }[] = [];
  for (const weight of weights) {
    const size = weight.data.byteLength;
    let current = files.at(-1);
    if (!current || current.byteLength + size > fileBytes)
      files.push(
        (current = { path: `weights_${String(files.length).padStart(2, '0')}.bin`, byteLength: 0, weights: [] }),
      );
    current.weights.push(weight);
    current.byteLength += size;
  }
  return {
    groups: files.map(({ path, weights: own }) => ({ paths: [path], weights: own.map(specOf) })),
    files: files.map(({ path, byteLength, weights: own }) => ({
      path: `${folder}/${path}`,
      byteLength,
      chunks: (request) => chunksOf(`${folder}/${path}`, own, request),
    })),
  };
}

/** The bytes of weights one after the other. @throws BackendError when one yields other than its size */
async function* chunksOf(
  file: string,
  weights: readonly TfWeight[],
  { from = 0 }: ChunkRequest = {},
): AsyncGenerator<ArtifactChunk> {
  let offset = 0;
  for (const weight of weights) {
    const end = offset + weight.data.byteLength;
    if (end > from) yield* weightChunks(weight, file, offset, Math.max(0, from - offset));
    offset = end;
  }
}
