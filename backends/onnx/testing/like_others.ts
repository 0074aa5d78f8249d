import { create, toBinary } from '@bufbuild/protobuf';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readModelFile } from '../decode.ts';
import {
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  TensorProto_DataType as DataType,
  type GraphProto,
  type NodeProto,
} from '../proto/onnx_pb.ts';

/** How another program's decoder counts positions, where it takes none: from the mask. */
export interface OwnPositions {
  readonly from: 0 | 1;
  /** Added behind a cache: a mistake. */
  readonly behindCache?: number;
}

export interface LikeOthersOptions {
  /** New names of ports, by ours. */
  readonly names?: Readonly<Record<string, string>>;
  readonly positions?: OwnPositions;
  /** Whether the decoder gives all logits, always. */
  readonly allLogits?: boolean;
  /** The decoder multiplies what it reads by this, as transformers before 5 does. */
  readonly scalesBy?: number;
  /** Behind the names of files, in place of what is there. */
  readonly suffix?: string;
}

/**
 * Makes of an emitted bundle's files what another exporter might have written: no manifest, no metadata, no types of
 * inner values, names of tensors that say nothing, and ports as `options` have them.
 */
export async function likeOthers(dir: string, options: LikeOthersOptions = {}): Promise<void> {
  await rm(join(dir, 'manifest.json'), { force: true });
  const folder = join(dir, 'onnx');
  for (const name of (await readdir(folder)).filter((file) => file.endsWith('.onnx'))) {
    const { model } = await readModelFile(join(folder, name));
    const decoder = name.startsWith('decoder');
    const graph = renamed(decoder ? changedDecoder(model.graph, options) : model.graph, options.names ?? {});
    const bytes = toBinary(ModelProtoSchema, { ...model, producerName: 'another', metadataProps: [], graph });
    await rm(join(folder, name));
    const stem = basename(name, '.onnx').replace(/_(fp16|q4|int8)$/, '');
    await writeFile(join(folder, options.suffix === undefined ? name : `${stem}${options.suffix}.onnx`), bytes);
  }
}

function changedDecoder(graph: GraphProto, { positions, allLogits, scalesBy }: LikeOthersOptions): GraphProto {
  let { node, input, initializer } = graph;
  if (allLogits) {
    input = input.filter(({ name }) => name !== 'num_logits_to_keep');
    initializer = [...initializer, numbers('num_logits_to_keep', [0n], [])];
  }
  if (positions) {
    input = input.filter(({ name }) => name !== 'position_ids');
    const { from, behindCache = 0 } = positions;
    initializer = [
      ...initializer,
      numbers('own.axis', [1n], [1]),
      numbers('own.shift', [BigInt(from - 1)], []),
      numbers('own.one', [1n], [1]),
      numbers('own.behind', [BigInt(behindCache)], [1]),
      numbers('own.end', [2n ** 62n], [1]),
    ];
    node = [
      op('Shape', ['past_key_values.0.key'], 'own.past', { start: 2n, end: 3n }),
      op('CumSum', ['attention_mask', 'own.axis'], 'own.count'),
      op('Slice', ['own.count', 'own.past', 'own.end', 'own.axis'], 'own.new'),
      op('Min', ['own.past', 'own.one'], 'own.cached'),
      op('Mul', ['own.cached', 'own.behind'], 'own.further'),
      op('Add', ['own.new', 'own.shift'], 'own.shifted'),
      op('Add', ['own.shifted', 'own.further'], 'own.any'),
      // pads of the left are counted from 0 on, and read no table before its begin
      op('Max', ['own.any', 'own.zero'], 'position_ids'),
      ...node,
    ];
    initializer = [...initializer, numbers('own.zero', [0n], [])];
  }
  if (scalesBy !== undefined) {
    initializer = [
      ...initializer,
      create(TensorProtoSchema, {
        name: 'own.scale',
        dataType: DataType.FLOAT,
        rawData: new Uint8Array(Float32Array.of(scalesBy).buffer),
      }),
    ];
    const read = (name: string) => (name === 'inputs_embeds' ? 'own.scaled' : name);
    node = [
      op('Mul', ['inputs_embeds', 'own.scale'], 'own.scaled'),
      ...node.map((each) => ({ ...each, input: each.input.map(read) })),
    ];
  }
  return { ...graph, node, input, initializer };
}

function op(
  opType: string,
  input: string[],
  output: string,
  integers: Readonly<Record<string, bigint>> = {},
): NodeProto {
  const attribute = Object.entries(integers).map(([name, i]) => ({ name, type: AttributeType.INT, i }));
  return create(NodeProtoSchema, { opType, input, output: [output], attribute });
}

function numbers(name: string, values: readonly bigint[], dims: readonly number[]) {
  return create(TensorProtoSchema, {
    name,
    dataType: DataType.INT64,
    dims: dims.map(BigInt),
    rawData: new Uint8Array(BigInt64Array.from(values).buffer),
  });
}

function renamed(graph: GraphProto, ports: Readonly<Record<string, string>>): GraphProto {
  const names = new Map<string, string>();
  for (const { name } of [...graph.input, ...graph.output]) names.set(name, ports[name] ?? name);
  const inner = [...graph.initializer.map(({ name }) => name), ...graph.node.flatMap(({ output }) => output)];
  for (const name of inner) if (name !== '' && !names.has(name)) names.set(name, `v_${names.size}`);
  const of = (name: string) => names.get(name) ?? name;
  return {
    ...graph,
    name: 'main_graph',
    input: graph.input.map((info) => ({ ...info, name: of(info.name) })),
    output: graph.output.map((info) => ({ ...info, name: of(info.name) })),
    initializer: graph.initializer.map((tensor) => ({ ...tensor, name: of(tensor.name) })),
    node: graph.node.map((node) => ({
      ...node,
      name: '',
      input: node.input.map(of),
      output: node.output.map(of),
    })),
    valueInfo: [],
  };
}
