import type { GraphModel } from '@tensorflow/tfjs-converter';
import type { Tensor as TfTensor } from '@tensorflow/tfjs-core';
import type { DType } from '../../../ir/dtypes/index.ts';
import type { Graph } from '../../../ir/graph.ts';
import { tensorOf, type Tensor, type TensorData } from '../../../ir/tensor.ts';
import type { TfGraph } from '../graph.ts';
import { modelJson, specOf } from '../model_json.ts';
import type { Engine } from './engine.ts';

/** A graph model in the stock loader, from memory. Dispose it. */
export async function loadedModel({ converter }: Engine, graph: TfGraph): Promise<GraphModel> {
  const weightSpecs = graph.weights.map(specOf);
  const model = modelJson(graph, {
    weights: [{ paths: ['weights.bin'], weights: weightSpecs }],
    metadata: {},
    convertedBy: 'a test',
  }) as Record<'modelTopology' | 'signature' | 'userDefinedMetadata', object>;
  const { modelTopology, signature, userDefinedMetadata } = model;
  const weightData = await joined(graph.weights.map(({ data }) => data));
  return converter.loadGraphModel({
    load: async () =>
      ({ modelTopology, signature, userDefinedMetadata, format: 'graph-model', weightSpecs, weightData }) as never,
  });
}

async function joined(all: readonly TensorData[]): Promise<ArrayBuffer> {
  const out = new Uint8Array(all.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const data of all)
    for await (const chunk of data.chunks()) {
      out.set(chunk, at);
      at += chunk.length;
    }
  return out.buffer;
}

/**
 * What one run gives, by names of ports, with the dtypes that the graph's outputs have; f16, which is only stored, is
 * f32. Nothing stays behind.
 */
export async function runModel(
  { tf }: Engine,
  model: GraphModel,
  lowered: TfGraph,
  graph: Graph,
  inputs: Readonly<Record<string, Tensor>>,
): Promise<Record<string, Tensor>> {
  const given = Object.fromEntries(
    lowered.inputs.map(({ name, dtype }) => [
      name,
      tf.tensor(Array.from(inputs[name]!.data), [...inputs[name]!.shape], dtype),
    ]),
  );
  const results = model.execute(
    given,
    lowered.outputs.map(({ tensor }) => tensor),
  );
  const tensors: readonly TfTensor[] = Array.isArray(results) ? results : [results];
  const types = new Map(graph.outputs.map(({ name, value }) => [name, value.type.dtype]));
  const held = (name: string): DType => ({ f16: 'f32' as const })[types.get(name) as 'f16'] ?? types.get(name) ?? 'f32';
  const entries = await Promise.all(
    tensors.map(
      async (tensor, i) =>
        [
          lowered.outputs[i]!.name,
          tensorOf(held(lowered.outputs[i]!.name), tensor.shape, await tensor.data()),
        ] as const,
    ),
  );
  for (const tensor of [...tensors, ...Object.values(given)]) tensor.dispose();
  return Object.fromEntries(entries);
}
