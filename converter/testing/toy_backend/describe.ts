import { basename, join } from 'node:path';
import { bytesText } from '../../../backends/bytes_text.ts';
import type { BundleFolder, Description, StoredTensor, TextTable } from '../../../backends/description.ts';
import type { Graph } from '../../../ir/graph.ts';
import { GRAPH_EXTENSION } from './emit.ts';
import { readGraph } from './read_graph.ts';

/** The graphs of a bundle: their nodes, and the bytes of their weights. */
export async function describe(bundle: BundleFolder): Promise<Description> {
  return description(await graphsIn(bundle));
}

/** One text of a graph. */
export async function describeFile(path: string): Promise<Description> {
  return description([await readGraph(path)]);
}

/** Each weight once, however many graphs read it. */
export async function storedTensors(bundle: BundleFolder): Promise<readonly StoredTensor[]> {
  const weights = (await graphsIn(bundle)).flatMap(weightsOf);
  return [...new Map(weights.map(({ offset, name, bytes }) => [offset, { name, bytes }])).values()];
}

function graphsIn({ dir, files }: BundleFolder): Promise<readonly Graph[]> {
  const paths = files.flatMap(({ path }) => (path.endsWith(GRAPH_EXTENSION) ? [path] : []));
  return Promise.all(paths.map((path) => readGraph(join(dir, basename(path)))));
}

function description(graphs: readonly Graph[]): Description {
  const rows = graphs.map((graph) => {
    const weights = weightsOf(graph);
    return { graph: graph.name, nodes: graph.nodes.length, bytes: weights.reduce((sum, { bytes }) => sum + bytes, 0) };
  });
  const tensors: TextTable = {
    head: ['weight', 'dtype', 'bytes', 'at'],
    rows: graphs.flatMap(weightsOf).map(({ name, dtype, bytes, offset }) => [name, dtype, bytes, offset]),
    numeric: [2, 3],
  };
  const table: TextTable = {
    head: ['graph', 'nodes', 'weights'],
    rows: rows.map(({ graph, nodes, bytes }) => [graph, nodes, bytesText(bytes)]),
    numeric: [1, 2],
  };
  return { data: { graphs: rows }, parts: ['texts of graphs', table], tensors };
}

function weightsOf({ constants }: Graph) {
  return constants.flatMap((constant) =>
    constant.kind === 'weight'
      ? [
          {
            name: constant.value.name,
            dtype: constant.data.dtype,
            bytes: constant.data.byteLength,
            offset: constant.data.from!.byteOffset,
          },
        ]
      : [],
  );
}
