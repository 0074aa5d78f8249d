import type { Program } from '../../ir/graph.ts';
import type { PassListener } from '../../ir/passes/index.ts';
import type { Artifact, ArtifactFile, ChunkRequest } from '../backend.ts';
import { DATA_FILE_BYTES, dataFileChunks, layOut } from './external_data.ts';
import { modelFileName } from './file_names.ts';
import { lowerGraph } from './lower.ts';
import { INLINE_BYTES } from './lower/context.ts';
import type { WeightInitializer } from './lower/model.ts';
import { modelFile } from './model_file.ts';
import type { OnnxOptions } from './target.ts';
import { targets } from './targets.ts';

/**
 * Each graph as `<folder of the target>/<name>.onnx` with its weights in `<name>.onnx_data`, `_data_1`, …; weights up
 * to 1 KB stay in the model file. Pure. @throws BackendError for a precision without a file name and for what ONNX
 * Runtime cannot compute.
 */
export function emit(
  program: Program,
  { precision, ...options }: OnnxOptions,
  { dataFileBytes = DATA_FILE_BYTES, onPass }: { readonly dataFileBytes?: number; readonly onPass?: PassListener } = {},
): Artifact {
  const { folder } = targets[options.target ?? 'portable'];
  const { imageTokens } = program.metadata;
  return {
    files: program.graphs.flatMap((graph) =>
      graphFiles(
        lowerGraph(graph, { ...options, imageTokens }, onPass),
        folder,
        modelFileName(graph.name, precision),
        dataFileBytes,
      ),
    ),
  };
}

function graphFiles(
  graph: ReturnType<typeof lowerGraph>,
  folder: string,
  name: string,
  dataFileBytes: number,
): ArtifactFile[] {
  const weights = graph.initializers.filter((i): i is WeightInitializer => i.kind === 'weight');
  const [inline, large] = [
    weights.filter((w) => w.data.byteLength <= INLINE_BYTES),
    weights.filter((w) => w.data.byteLength > INLINE_BYTES),
  ];
  const dataFiles = layOut(name, large, dataFileBytes);
  return [
    modelFile(
      `${folder}/${name}`,
      graph,
      inline,
      dataFiles.flatMap((file) => file.placements),
    ),
    ...dataFiles.map((file) => ({
      path: `${folder}/${file.name}`,
      byteLength: file.byteLength,
      chunks: (request?: ChunkRequest) => dataFileChunks(file, request),
    })),
  ];
}
