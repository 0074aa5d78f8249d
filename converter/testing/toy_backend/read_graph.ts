import { open, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BackendError } from '../../../backends/error.ts';
import { byteLengthOf } from '../../../ir/dtypes/index.ts';
import { IrError } from '../../../ir/error.ts';
import type { Graph } from '../../../ir/graph.ts';
import { parseGraph, type WeightDeclaration } from '../../../ir/parse.ts';
import { elementCount, readRange, type TensorData } from '../../../ir/tensor.ts';

/** The graph in a text of a bundle; weights are read when they are asked for. @throws BackendError */
export async function readGraph(path: string): Promise<Graph> {
  const hint = 'convert again';
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw new BackendError('bundle-missing', 'cannot read the text of the graph', { file: path, hint }, { cause });
  });
  try {
    return parseGraph(text, { weight: (declaration) => weightIn(dirname(path), declaration) });
  } catch (cause) {
    if (!(cause instanceof IrError)) throw cause;
    throw new BackendError('bundle-damaged', cause.message, { file: path, hint }, { cause });
  }
}

function weightIn(dir: string, { name, dtype, shape, from }: WeightDeclaration): TensorData {
  if (!from) throw new IrError(`weight %${name} has no place in a file`);
  const byteLength = byteLengthOf(dtype, elementCount(shape));
  return {
    dtype,
    shape,
    byteLength,
    from,
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      const file = await open(join(dir, from.file));
      try {
        for (let at = begin; at < end; at += maxBytes) {
          const bytes = new Uint8Array(Math.min(maxBytes, end - at));
          const { bytesRead } = await file.read(bytes, 0, bytes.byteLength, from.byteOffset + at);
          if (bytesRead < bytes.byteLength)
            throw new BackendError('bundle-damaged', 'the file of weights is cut off', {
              file: from.file,
              tensor: name,
            });
          yield bytes;
        }
      } finally {
        await file.close();
      }
    },
  };
}
