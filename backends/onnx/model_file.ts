import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { ArtifactChunk, ArtifactFile } from '../backend.ts';
import { chunksBehind } from '../chunks_behind.ts';
import { encodeGraph, encodeModelHead, encodeTensorHead } from './encode.ts';
import { weightChunks } from '../weight_chunks.ts';
import type { Placement } from './external_data.ts';
import type { OnnxGraph, WeightInitializer } from './lower/model.ts';

/** Field numbers of onnx.proto. */
const MODEL_GRAPH = 7;
const GRAPH_INITIALIZER = 5;
const TENSOR_RAW_DATA = 9;

/**
 * The model file. Its size follows from shapes alone, so it is known before a weight is read: small weights are spliced
 * in as the last initializers of the graph, each streamed under its name, as those in data files are.
 */
export function modelFile(
  path: string,
  graph: OnnxGraph,
  inline: readonly WeightInitializer[],
  external: readonly Placement[],
): ArtifactFile {
  const body = encodeGraph(graph, external);
  const spliced = inline.map((weight) => ({ weight, header: initializerHeader(weight) }));
  const graphBytes = spliced.reduce(
    (sum, { weight, header }) => sum + header.byteLength + weight.data.byteLength,
    body.byteLength,
  );
  const start = [encodeModelHead(graph), lengthDelimited(MODEL_GRAPH, graphBytes), body];
  async function* chunks(): AsyncGenerator<ArtifactChunk> {
    yield { bytes: Buffer.concat(start) };
    for (const { weight, header } of spliced) {
      yield { bytes: header.slice() };
      yield* weightChunks(weight, path);
    }
  }
  return {
    path,
    byteLength: start[0]!.byteLength + start[1]!.byteLength + graphBytes,
    chunks: ({ from = 0 } = {}) => chunksBehind(chunks(), from),
  };
}

/** Everything of an initializer field up to its raw bytes, which come last. */
function initializerHeader(weight: WeightInitializer): Uint8Array {
  const head = encodeTensorHead(weight);
  const raw = lengthDelimited(TENSOR_RAW_DATA, weight.data.byteLength);
  return Buffer.concat([
    lengthDelimited(GRAPH_INITIALIZER, head.byteLength + raw.byteLength + weight.data.byteLength),
    head,
    raw,
  ]);
}

/** Tag and length of a field whose bytes follow. */
function lengthDelimited(field: number, byteLength: number): Uint8Array {
  return new BinaryWriter().tag(field, WireType.LengthDelimited).uint32(byteLength).finish();
}
