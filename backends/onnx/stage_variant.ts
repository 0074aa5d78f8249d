import { toBinary } from '@bufbuild/protobuf';
import { BackendError } from '../error.ts';
import type { DecodedModel } from './decode_model.ts';
import { stageTensorsOf } from './model_ports.ts';
import { ModelProtoSchema } from './proto/onnx_pb.ts';

export interface StageVariant {
  /** The model with the stages among its outputs; undefined when it already returns them all. */
  readonly bytes: Uint8Array | undefined;
  /** Tensor of each asked stage that the graph knows. */
  readonly tensors: ReadonlyMap<string, string>;
  /** Names of the graph's own outputs. */
  readonly outputs: readonly string[];
}

/**
 * A model of the file `path` that also returns the asked stages; weights stay where they are. Stages of other graphs
 * are ignored.
 */
export function stageVariant(model: DecodedModel, path: string, stages: readonly string[]): StageVariant {
  const known = stageTensorsOf(model);
  const tensors = new Map(stages.flatMap((stage) => (known.has(stage) ? [[stage, known.get(stage)!] as const] : [])));
  const { graph } = model;
  const outputs = graph.output.map(({ name }) => name);
  const ports = new Set([...graph.input.map(({ name }) => name), ...outputs]);
  const wanted = new Set([...tensors.values()].filter((tensor) => !ports.has(tensor)));
  if (wanted.size === 0) return { bytes: undefined, tensors, outputs };
  const added = [...wanted].map((tensor) => {
    const info = graph.valueInfo.find(({ name }) => name === tensor);
    if (!info)
      throw new BackendError('bundle-damaged', `the model names the stage tensor "${tensor}" and does not type it`, {
        file: path,
        tensor,
        hint: 'convert again',
      });
    return info;
  });
  const valueInfo = graph.valueInfo.filter(({ name }) => !wanted.has(name));
  const bytes = toBinary(ModelProtoSchema, {
    ...model,
    graph: { ...graph, valueInfo, output: [...graph.output, ...added] },
  });
  return { bytes, tensors, outputs };
}
