import { asBackendError } from '../as_backend_error.ts';
import { bytesText } from '../bytes_text.ts';
import { openSource } from '../client/sources/open_source.ts';
import type { BundleFolder, Description, StoredTensor, TextTable } from '../description.ts';
import { readBundle, storedBytes, type PartFiles, type TfjsBundle } from './driver/bundle.ts';
import { plannedMemory, type PlannedMemory } from './driver/planned_memory.ts';
import { PLAN_PATH, type GraphPlan, type TablePlan, type TfjsPlan } from './plan.ts';

const HINT = 'copy the bundle again, or convert again';

/** The graph models of a bundle, its files and what loading it takes. */
export async function describe({ dir }: BundleFolder): Promise<Description> {
  const { plan, parts } = await bundleIn(dir);
  const memory = plannedMemory({ parts });
  const weights = [...parts.values()].flatMap(weightsOf);
  const files: TextTable = {
    head: ['file', 'bytes'],
    rows: plan.files.map(({ path, bytes }) => [path, bytes]),
    numeric: [1],
  };
  return {
    data: { plan, memory, weights },
    parts: [
      `profile ${plan.profile}`,
      modelTable(plan, parts, memory),
      ...plan.graphs.flatMap((graph) => graph.tables.map((table) => tableLine(graph, table))),
      files,
      `loading: ${bytesText(memory.loaded)} in tfjs in the end, ${bytesText(memory.peak)} at most on the way`,
    ],
    tensors: {
      head: ['weight', 'shape', 'stored as', 'file', 'offset', 'bytes'],
      rows: weights.map((w) => [w.name, `[${w.shape.join(', ')}]`, w.dtype, w.file, w.offset, w.bytes]),
      numeric: [4, 5],
    },
  };
}

/** Weights of graph models and of tables that the host reads; scalars are the graphs' own. */
export async function storedTensors({ dir }: BundleFolder): Promise<readonly StoredTensor[]> {
  const { parts, plan } = await bundleIn(dir);
  const tables = plan.graphs.flatMap((graph) =>
    graph.tables.flatMap((table) => table.weights.flatMap(({ weights }) => weights)),
  );
  const weights = [...parts.values()].flatMap((part) => part.weights.map(({ spec }) => spec));
  return [...weights, ...tables]
    .filter(({ shape }) => shape.length > 0)
    .map((spec) => ({ name: spec.name, bytes: storedBytes(spec) }));
}

function bundleIn(dir: string): Promise<TfjsBundle> {
  return readBundle(openSource(dir, PLAN_PATH)).catch((error: unknown) => {
    throw asBackendError(error, { file: dir, hint: HINT });
  });
}

function weightsOf({ weights }: PartFiles) {
  return weights.map(({ spec, file, offset, byteLength }) => ({
    name: spec.name,
    shape: spec.shape,
    dtype: spec.quantization?.dtype ?? spec.dtype,
    file,
    offset,
    bytes: byteLength,
  }));
}

function modelTable({ graphs }: TfjsPlan, files: TfjsBundle['parts'], { parts }: PlannedMemory): TextTable {
  const rows = graphs.flatMap((graph) =>
    graph.parts.map(({ folder }) => {
      const { json, weights } = files.get(folder)!;
      const nodes = json.modelTopology.node.filter(({ op }) => op !== 'Const' && op !== 'Placeholder');
      const { stored, loaded, largest } = parts.find((part) => part.folder === folder)!;
      const sizes = [stored, loaded, largest].map(bytesText);
      return [folder, graph.name, nodes.length, weights.length, ...sizes];
    }),
  );
  const head = ['graph model', 'graph', 'nodes', 'weights', 'stored', 'in tfjs', 'largest tensor'];
  return { head, rows, numeric: [2, 3, 4, 5, 6] };
}

function tableLine({ name }: GraphPlan, { ids, rows, columns, runs }: TablePlan): string {
  const folders = [...new Set(runs.map(({ folder }) => folder))];
  const where = folders.some((folder) => folder !== undefined)
    ? `those of ${folders.join(', ')}`
    : 'in files of their own';
  return `${name}: the host looks ${ids} up in ${rows} rows of ${columns}, ${where}`;
}
