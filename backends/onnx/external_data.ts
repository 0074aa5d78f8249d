import type { WeightInitializer } from './lower/model.ts';
import type { ArtifactChunk, ChunkRequest } from '../backend.ts';
import { BackendError } from '../error.ts';
import { weightChunks } from '../weight_chunks.ts';
import { dataFileName } from './file_names.ts';

/**
 * Browsers read each file into one ArrayBuffer: those fail above 2 GB, and below 1 GB they load on small machines too.
 */
export const DATA_FILE_BYTES = 1_000_000_000;

/** ONNX recommends offsets on page boundaries, so that a tensor can be mapped into memory. */
export const ALIGNMENT = 4096;

/** transformers.js refuses more. */
const MAX_DATA_FILES = 100;

export interface Placement {
  readonly initializer: WeightInitializer;
  readonly file: string;
  readonly offset: number;
}

export interface DataFile {
  readonly name: string;
  readonly byteLength: number;
  readonly placements: readonly Placement[];
}

/**
 * Puts weights into files in order, none over `limit` unless one tensor alone is larger.
 * @throws BackendError beyond 100 files.
 */
export function layOut(modelFile: string, weights: readonly WeightInitializer[], limit = DATA_FILE_BYTES): DataFile[] {
  const files: { name: string; byteLength: number; placements: Placement[] }[] = [];
  for (const initializer of weights) {
    const size = initializer.data.byteLength;
    let current = files.at(-1);
    let offset = current ? Math.ceil(current.byteLength / ALIGNMENT) * ALIGNMENT : 0;
    if (!current || offset + size > limit) {
      current = { name: dataFileName(modelFile, files.length), byteLength: 0, placements: [] };
      files.push(current);
      offset = 0;
    }
    current.placements.push({ initializer, file: current.name, offset });
    current.byteLength = offset + size;
  }
  if (files.length > MAX_DATA_FILES)
    throw new BackendError(
      'unsupported',
      `${modelFile} needs ${files.length} data files, transformers.js loads at most ${MAX_DATA_FILES}`,
      {
        file: modelFile,
        hint: 'choose a smaller precision',
      },
    );
  return files;
}

/**
 * The file's bytes in order, from one on: each tensor's own, and zeros up to the next.
 * @throws BackendError when a tensor yields other than its size.
 */
export async function* dataFileChunks(
  { name, placements }: DataFile,
  { from = 0 }: ChunkRequest = {},
): AsyncGenerator<ArtifactChunk> {
  let at = from;
  for (const { initializer, offset } of placements) {
    const end = offset + initializer.data.byteLength;
    if (end <= at) continue;
    if (offset > at) yield { bytes: new Uint8Array(offset - at) };
    yield* weightChunks(initializer, name, offset, Math.max(0, at - offset));
    at = end;
  }
}
