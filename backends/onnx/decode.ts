import { fromBinary } from '@bufbuild/protobuf';
import { readFile, stat } from 'node:fs/promises';
import { BackendError } from '../error.ts';
import { ModelProtoSchema, type GraphProto, type ModelProto } from './proto/onnx_pb.ts';

/** Model files are read whole: with external data they hold no more than a few megabytes. */
export const MAX_MODEL_BYTES = 64 * 1024 * 1024;

/**
 * Bytes and message of a model file, which need not be ours.
 * @throws BackendError when it is absent, too large or no ONNX.
 */
export async function readModelFile(
  path: string,
): Promise<{ readonly bytes: Uint8Array; readonly model: ModelProto & { graph: GraphProto } }> {
  const bytes = await readWhole(path);
  return { bytes, model: decodeModel(bytes, path) };
}

/** protobuf-es bounds every length and the depth of nesting (100 messages). @throws BackendError naming the file. */
function decodeModel(bytes: Uint8Array, path: string): ModelProto & { graph: GraphProto } {
  let model: ModelProto;
  try {
    model = fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false });
  } catch (cause) {
    throw new BackendError(
      'bundle-damaged',
      `not an ONNX model: ${cause instanceof Error ? cause.message : String(cause)}`,
      { file: path, hint: 'convert again, or fetch the file again' },
      { cause },
    );
  }
  const { graph } = model;
  if (!graph || model.irVersion === 0n)
    throw new BackendError('bundle-damaged', 'not an ONNX model: it has no graph', {
      file: path,
      hint: 'convert again, or fetch the file again',
    });
  return { ...model, graph };
}

async function readWhole(path: string): Promise<Uint8Array> {
  const found = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw new BackendError(
      'bundle-missing',
      `cannot open the model: ${cause.code ?? cause.message}`,
      { file: path, hint: 'name a bundle that pgconv wrote' },
      { cause },
    );
  });
  if (!found.isFile())
    // before it is opened: a FIFO would wait
    throw new BackendError('bundle-damaged', 'the model is not a regular file', { file: path, hint: 'name a file' });
  if (found.size > MAX_MODEL_BYTES)
    throw new BackendError(
      'bundle-damaged',
      `the model file has ${found.size} bytes, at most ${MAX_MODEL_BYTES} are read`,
      { file: path, hint: 'store its weights as external data' },
    );
  return readFile(path);
}
