import type { TensorData } from '../ir/tensor.ts';
import type { ArtifactChunk } from './backend.ts';
import { BackendError } from './error.ts';

/** A weight as a file of a bundle has it. */
export interface StoredWeight {
  readonly name: string;
  readonly data: TensorData;
  /** What it was made of (see ChunkTensor); default the data. */
  readonly source?: TensorData;
}

/**
 * A weight's bytes behind the first `from`, each chunk under the tensor's name. `file` and `offset` say where it goes,
 * for messages.
 * @throws BackendError when they are more or fewer than its size
 */
export async function* weightChunks(
  { name, data, source = data }: StoredWeight,
  file: string,
  offset?: number,
  from = 0,
): AsyncGenerator<ArtifactChunk> {
  const tensor = { name, dtype: data.dtype, source };
  let written = from;
  for await (const bytes of data.chunks({ begin: from })) {
    written += bytes.byteLength;
    if (written > data.byteLength) break;
    yield { bytes, tensor };
  }
  if (written !== data.byteLength)
    throw new BackendError(
      'bad-input',
      `tensor ${name} gave ${written} bytes where its shape needs ${data.byteLength}`,
      {
        file,
        tensor: name,
        ...(offset !== undefined && { offset }),
        hint: `check the source${data.from ? ` ${data.from.file} (${data.from.key})` : ''}: it changed or is cut off`,
      },
    );
}
