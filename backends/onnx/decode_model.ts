import { fromBinary } from '@bufbuild/protobuf';
import { BackendError } from '../error.ts';
import { ModelProtoSchema, type GraphProto, type ModelProto } from './proto/onnx_pb.ts';

/** A model that has a graph. */
export type DecodedModel = ModelProto & { graph: GraphProto };

/** protobuf-es bounds every length and the depth of nesting (100 messages). @throws BackendError naming the file. */
export function decodeModel(bytes: Uint8Array, path: string): DecodedModel {
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
