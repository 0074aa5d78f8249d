import { printDim } from '../../ir/dim.ts';
import type { Graph, Program, Value } from '../../ir/graph.ts';
import type { PassListener } from '../../ir/passes/index.ts';
import type { Artifact, ArtifactFile } from '../backend.ts';
import { textFile } from '../text_file.ts';
import { checkOps } from './check/check_ops.ts';
import type { TfGraph } from './graph.ts';
import { tfDType } from './lower/context.ts';
import { lowerGraph } from './lower.ts';
import { modelJson } from './model_json.ts';
import { partsOf, type PartOptions, type PlannedGraph } from './parts/parts_of.ts';
import { PLAN_PATH, PLAN_VERSION, type GraphPlan, type TfjsPlan } from './plan.ts';
import type { Profile } from './target.ts';
import { layOutWeights } from './weights/groups.ts';
import { tableRuns, type WrittenHead } from './weights/table_runs.ts';

export interface TfjsOptions extends PartOptions {
  readonly profile: Profile;
  readonly precision: string;
}

const CONVERTED_BY = 'pgconv';

/**
 * A program as graph models in folders, each a model.json with its weights beside it, and `tfjs.json`, which tells how
 * they belong together. Pure. @throws BackendError for what tfjs cannot compute, by name
 */
export function emit(program: Program, options: TfjsOptions, onPass?: PassListener): Artifact {
  const planned = partsOf(program, options, onPass);
  const files: ArtifactFile[] = [];
  const heads: WrittenHead[] = [];
  for (const { parts } of planned)
    for (const part of parts) {
      const { graph, stored } = lowerGraph(part.graph, {
        profile: options.profile,
        largestOf: part.largestOf,
        rowsFirst: part.isHead,
      });
      checkOps(graph, options.profile);
      if (part.isHead) heads.push({ part, stored });
      files.push(...modelFiles(part.folder, graph, options));
    }
  const graphs = planned.map((graph) => graphPlan(graph, heads, files));
  const plan: TfjsPlan = {
    version: PLAN_VERSION,
    profile: options.profile,
    precision: options.precision,
    model: { ...program.metadata },
    graphs,
    files: files.map(({ path, byteLength }) => ({ path, bytes: byteLength })),
  };
  return { files: [...files, textFile(PLAN_PATH, JSON.stringify(plan, undefined, 1))] };
}

function modelFiles(folder: string, graph: TfGraph, { profile, precision }: TfjsOptions): ArtifactFile[] {
  const { groups, files } = layOutWeights(folder, graph.weights);
  return [
    textFile(
      `${folder}/model.json`,
      JSON.stringify(
        modelJson(graph, { weights: groups, metadata: { profile, precision }, convertedBy: CONVERTED_BY }),
      ),
    ),
    ...files,
  ];
}

/** Adds the files of tables that no head holds. */
function graphPlan(
  { name, whole, parts, joins, caches, tables }: PlannedGraph,
  heads: readonly WrittenHead[],
  files: ArtifactFile[],
): GraphPlan {
  const port = (name: string, { type }: Value) => ({
    name,
    dtype: tfDType(type.dtype),
    shape: type.shape.map((dim) => (typeof dim === 'number' ? dim : printDim(dim))),
  });
  return {
    name,
    inputs: inputsOf(whole, tables).map((value) => port(value.name, value)),
    outputs: whole.outputs.map(({ name: output, value }) => port(output, value)),
    parts: parts.map(({ folder, graph, largestOf }) => ({
      folder,
      inputs: graph.inputs.map((value) => value.name),
      outputs: [
        ...graph.outputs.map((output) => output.name),
        ...largestOf.flatMap((output) => [`${output}.best`, `${output}.max`]),
      ],
    })),
    joins: joins.map(({ output, axis, pieces, rows }) => ({ output, axis, pieces: [...pieces], rows: [...rows] })),
    caches: caches.map((cache) => ({ ...cache })),
    tables: tables.map((table) => {
      const { runs, weights } = tableRuns(table, heads);
      const folder = `${name}/table`;
      const laidOut = layOutWeights(folder, weights);
      files.push(...laidOut.files);
      return {
        input: table.input,
        ids: table.ids,
        rows: table.rows,
        columns: table.columns,
        runs: [...runs],
        weights: laidOut.groups.map(({ paths, weights: specs }) => ({
          paths: paths.map((path) => `${folder}/${path}`),
          weights: specs,
        })),
      };
    }),
  };
}

/** Ids in place of the rows that the host looks up for them. */
function inputsOf({ inputs }: Graph, tables: PlannedGraph['tables']): readonly Value[] {
  return inputs.map((value) => {
    const table = tables.find(({ input }) => input === value.name);
    return table ? { name: table.ids, type: { dtype: 'i64' as const, shape: value.type.shape.slice(0, -1) } } : value;
  });
}
