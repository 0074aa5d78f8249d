import type { Program } from '../../ir/graph.ts';
import type { Artifact, ArtifactFile, EmitOptions } from '../backend.ts';
import { DATA_FILE_BYTES, dataFileChunks, layOut } from './external_data.ts';
import { modelFileName, ONNX_FOLDER } from './file_names.ts';
import { lowerGraph } from './lower.ts';
import { INLINE_BYTES } from './lower/context.ts';
import type { WeightInitializer } from './lower/model.ts';
import { modelFile } from './model_file.ts';

/**
 * Each graph as `onnx/<name>.onnx` with its weights in `<name>.onnx_data`, `_data_1`, …; weights up to 1 KB stay in the model file.
 * Pure. @throws BackendError for a precision without a file name and for what ONNX Runtime cannot compute.
 */
export function emit(program: Program, { precision, ...options }: EmitOptions, dataFileBytes = DATA_FILE_BYTES): Artifact {
  return { files: program.graphs.flatMap((graph) => graphFiles(lowerGraph(graph, options), modelFileName(graph.name, precision), dataFileBytes)) };
}

function graphFiles(graph: ReturnType<typeof lowerGraph>, name: string, dataFileBytes: number): ArtifactFile[] {
  const weights = graph.initializers.filter((i): i is WeightInitializer => i.kind === 'weight');
  const [inline, large] = [weights.filter((w) => w.data.byteLength <= INLINE_BYTES), weights.filter((w) => w.data.byteLength > INLINE_BYTES)];
  const dataFiles = layOut(name, large, dataFileBytes);
  return [
    modelFile(`${ONNX_FOLDER}/${name}`, graph, inline, dataFiles.flatMap((file) => file.placements)),
    ...dataFiles.map((file) => ({ path: `${ONNX_FOLDER}/${file.name}`, byteLength: file.byteLength, chunks: () => dataFileChunks(file) })),
  ];
}
