import { readdir, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { bytesText } from '../../bytes_text.ts';
import type { Description, TextTable } from '../../description.ts';
import type { ForeignBundle, ForeignBundles } from '../../foreign.ts';
import { nodeDevice } from '../../node_device.ts';
import { DEVICES, nodeProvider } from '../devices.ts';
import { readOnnx } from '../read.ts';
import { loadRuntime } from '../runtime.ts';
import { folderOf, modelFiles, oneOfEach, readGraphs, type ForeignGraph } from './find.ts';
import { checkPorts, checkStage, layersOf, problemsOf } from './ports.ts';
import { coarsest, precisionOf, roundedActivations } from './precision.ts';
import { ForeignRunner } from './runner.ts';

/** Inputs that an export of a decoder may do without. */
const OPTIONAL = ['position_ids', 'num_logits_to_keep'];

/** Folders in transformers.js's layout and single decoders, of whatever exporter: understood by their graphs' ports. */
export const foreign: ForeignBundles = {
  recognizes: async (path) => (await modelFiles(path)).length > 0,

  async open(path, { device = DEVICES[0], ...options }): Promise<ForeignBundle> {
    const provider = nodeProvider(device);
    const graphs = oneOfEach(path, await readGraphs(path, options));
    for (const graph of graphs.values()) checkPorts(graph.path, graph.ports);
    const { inputs } = graphs.get('decoder')!.ports;
    for (const stage of options.map?.keys() ?? []) checkStage(stage, layersOf(inputs));
    const [, kvHeads, , headDim] = inputs.find(({ ours }) => ours === 'past_key_values.0.key')!.shape;
    return {
      runner: new ForeignRunner(await loadRuntime(), provider, graphs, await nodeDevice(device, provider === 'webgpu')),
      graphs: [...graphs.keys()],
      precision: coarsest([...graphs.values()].map(({ graph }) => precisionOf(graph))),
      roundedActivations: roundedActivations([...graphs.values()].map(({ graph }) => graph)),
      cache: {
        layers: layersOf(inputs),
        ...(typeof kvHeads === 'number' && { kvHeads }),
        ...(typeof headDim === 'number' && { headDim }),
      },
      sizes: sizesOf(graphs),
      without: OPTIONAL.filter((name) => !inputs.some(({ ours }) => ours === name)),
      files: await filesOf(path, [...graphs.values()]),
    };
  },

  async describe(path, options = {}): Promise<Description> {
    const all = await readGraphs(path, options);
    const graphs = await Promise.all(
      all.map(async (graph) => ({ ...graph, summary: await readOnnx(graph.path), problems: problemsOf(graph.ports) })),
    );
    const folder = await folderOf(path);
    const files: TextTable = {
      head: ['file', 'is', 'in', 'nodes', 'parameters', 'weight bytes'],
      rows: graphs.map(({ path: file, graph, ports, summary }) => [
        relative(folder, file),
        ports.role ?? '?',
        precisionOf(graph),
        graph.node.length,
        summary.parameters.toLocaleString('en'),
        bytesText(summary.bytes),
      ]),
      numeric: [3, 4, 5],
    };
    const ports: TextTable = {
      head: ['file', '', 'name', 'taken for', 'dtype', 'shape'],
      rows: graphs.flatMap(({ path: file, ports: { inputs, outputs } }) =>
        (
          [
            ['input', inputs],
            ['output', outputs],
          ] as const
        ).flatMap(([kind, list]) =>
          list.map(({ theirs, ours, dtype, shape }) => [
            relative(folder, file),
            kind,
            theirs,
            ours ?? '?',
            dtype,
            `[${shape.join(', ')}]`,
          ]),
        ),
      ),
      numeric: [],
    };
    const problems = graphs.flatMap(({ path: file, problems: own }) =>
      own.map((problem) => `${relative(folder, file)}: ${problem}`),
    );
    return {
      data: {
        kind: 'export',
        path,
        graphs: graphs.map(({ path: file, graph, ports: { role, inputs, outputs }, summary, problems: own }) => ({
          path: relative(folder, file),
          role,
          precision: precisionOf(graph),
          inputs,
          outputs,
          problems: own,
          summary,
        })),
      },
      parts: [`${path}: an export by another program, without a manifest`, files, ports, ...problems],
    };
  },
};

/** The model files with what lies in their folders, for who reads weights. */
async function filesOf(path: string, graphs: readonly ForeignGraph[]): Promise<ForeignBundle['files']> {
  const dir = await folderOf(path);
  const meant = new Set(graphs.map((graph) => relative(dir, graph.path)));
  const folders = [...new Set(graphs.map((graph) => dirname(graph.path)))];
  const files = (
    await Promise.all(
      folders.map(async (folder) =>
        Promise.all(
          (await readdir(folder)).map(async (name) => {
            const file = join(folder, name);
            return { path: relative(dir, file), bytes: (await stat(file)).size, sha256: '' };
          }),
        ),
      ),
    )
  ).flat();
  return { dir, files: files.filter((file) => meant.has(file.path) || !file.path.endsWith('.onnx')) };
}

/** What is written into the shapes of the graphs' inputs: exporters leave axes open, or not. */
function sizesOf(graphs: ReadonlyMap<string, ForeignGraph>): ForeignBundle['sizes'] {
  const size = (graph: string, input: string) => {
    const found = graphs
      .get(graph)
      ?.ports.inputs.find(({ ours }) => ours === input)
      ?.shape.at(-1);
    return typeof found === 'number' ? found : undefined;
  };
  const [hiddenSize, imageSize] = [size('decoder', 'inputs_embeds'), size('vision_encoder', 'pixel_values')];
  return { ...(hiddenSize !== undefined && { hiddenSize }), ...(imageSize !== undefined && { imageSize }) };
}
