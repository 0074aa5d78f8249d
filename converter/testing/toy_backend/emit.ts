import type { Artifact, ArtifactFile } from '../../../backends/backend.ts';
import { textFile } from '../../../backends/text_file.ts';
import { weightChunks, type StoredWeight } from '../../../backends/weight_chunks.ts';
import type { Constant, Graph, Program } from '../../../ir/graph.ts';
import { printGraph } from '../../../ir/print.ts';
import { rewriteGraph } from '../../../ir/rewrite.ts';
import { contentKey } from '../../../ir/views/content.ts';

export const GRAPH_EXTENSION = '.ir';
export const MODEL_PATH = 'model.json';
const WEIGHTS_PATH = 'weights.bin';

/** `model.json`: what an emitted program needs beside the texts of its graphs. */
export interface ModelJson {
  readonly metadata: Program['metadata'];
  /** Paths of the texts. */
  readonly graphs: readonly string[];
}

interface PlacedWeight extends StoredWeight {
  readonly offset: number;
}

/** `model.json`, `<graph>.ir` with places in `weights.bin`, which has equal weights once. Pure. */
export function emit({ graphs, metadata }: Program): Artifact {
  const weights = new Map<string, PlacedWeight>();
  let end = 0;
  const placed = (constant: Constant): Constant => {
    if (constant.kind !== 'weight') return constant;
    const { data, value } = constant;
    const key = contentKey(data);
    const weight = weights.get(key) ?? { name: value.name, data, offset: end };
    if (!weights.has(key)) end += data.byteLength;
    weights.set(key, weight);
    return {
      ...constant,
      data: { ...data, from: { file: WEIGHTS_PATH, key: weight.name, byteOffset: weight.offset } },
    };
  };
  const pathOf = ({ name }: Graph) => `${name}${GRAPH_EXTENSION}`;
  const texts = graphs.map((graph) =>
    textFile(pathOf(graph), printGraph(rewriteGraph(graph, () => undefined, placed))),
  );
  const model: ModelJson = { metadata, graphs: graphs.map(pathOf) };
  return { files: [textFile(MODEL_PATH, JSON.stringify(model)), ...texts, weightsFile([...weights.values()], end)] };
}

function weightsFile(weights: readonly PlacedWeight[], byteLength: number): ArtifactFile {
  return {
    path: WEIGHTS_PATH,
    byteLength,
    async *chunks({ from = 0 } = {}) {
      for (const weight of weights)
        if (weight.offset + weight.data.byteLength > from)
          yield* weightChunks(weight, WEIGHTS_PATH, weight.offset, Math.max(0, from - weight.offset));
    },
  };
}
