import { create, toBinary, type MessageInitShape } from '@bufbuild/protobuf';
import { printDim } from '../../ir/dim.ts';
import type { TensorType } from '../../ir/type.ts';
import { elementTypes } from './dtype.ts';
import type { Placement } from './external_data.ts';
import type { LiteralInitializer, OnnxAttribute, OnnxGraph, OnnxNode, WeightInitializer } from './lower/model.ts';
import {
  AttributeProto_AttributeType as AttributeType,
  GraphProtoSchema,
  ModelProtoSchema,
  TensorProto_DataLocation as DataLocation,
  TensorProtoSchema,
  type AttributeProtoSchema,
  type NodeProtoSchema,
  type ValueInfoProtoSchema,
} from './proto/onnx_pb.ts';
import { CONTRIB_OPSET, IR_VERSION, OPSET, PRODUCER } from './version.ts';

/** Key prefix in `metadata_props` of the tensor that holds a stage: `pgconv.stage.lm.0`. */
export const STAGE_KEY = 'pgconv.stage.';

/** ModelProto without its graph. */
export function encodeModelHead(graph: OnnxGraph): Uint8Array {
  return toBinary(
    ModelProtoSchema,
    create(ModelProtoSchema, {
      irVersion: BigInt(IR_VERSION),
      producerName: PRODUCER,
      opsetImport: [
        { domain: '', version: BigInt(OPSET) },
        ...(graph.nodes.some((node) => node.domain === 'com.microsoft')
          ? [{ domain: 'com.microsoft', version: BigInt(CONTRIB_OPSET) }]
          : []),
      ],
      metadataProps: [
        { key: 'pgconv.graph', value: graph.name },
        ...graph.stages.map(({ name, tensor }) => ({ key: `${STAGE_KEY}${name}`, value: tensor })),
      ],
    }),
  );
}

/** GraphProto with its literals and with references to external data; weights inside the file are added behind it. */
export function encodeGraph(graph: OnnxGraph, external: readonly Placement[]): Uint8Array {
  const ports = new Set([...graph.inputs.map((v) => v.name), ...graph.outputs.map((p) => p.name)]);
  const stages = new Map(
    graph.stages.filter(({ tensor }) => !ports.has(tensor)).map(({ tensor, value }) => [tensor, value.type]),
  );
  const literals = graph.initializers.filter((i): i is LiteralInitializer => i.kind === 'literal');
  return toBinary(
    GraphProtoSchema,
    create(GraphProtoSchema, {
      name: graph.name,
      node: graph.nodes.map(nodeProto),
      input: graph.inputs.map((value) => valueInfo(value.name, value.type)),
      output: graph.outputs.map(({ name, value }) => valueInfo(name, value.type)),
      valueInfo: [...stages].map(([name, type]) => valueInfo(name, type)),
      initializer: [
        ...literals.map(({ name, dtype, shape, bytes }) => ({ ...tensorHead(name, dtype, shape), rawData: bytes })),
        ...external.map(externalTensor),
      ],
    }),
  );
}

/** TensorProto of a weight without its bytes. */
export function encodeTensorHead({ name, data }: WeightInitializer): Uint8Array {
  return toBinary(TensorProtoSchema, create(TensorProtoSchema, tensorHead(name, data.dtype, data.shape)));
}

function tensorHead(name: string, dtype: keyof typeof elementTypes, shape: readonly number[]) {
  return { name, dataType: elementTypes[dtype], dims: shape.map(BigInt) };
}

function externalTensor({
  initializer: { name, data },
  file,
  offset,
}: Placement): MessageInitShape<typeof TensorProtoSchema> {
  return {
    ...tensorHead(name, data.dtype, data.shape),
    dataLocation: DataLocation.EXTERNAL,
    externalData: [
      { key: 'location', value: file },
      { key: 'offset', value: String(offset) },
      { key: 'length', value: String(data.byteLength) },
    ],
  };
}

/** A node is named after its first result, which is unique. */
function nodeProto({
  opType,
  domain,
  inputs,
  outputs,
  attributes,
}: OnnxNode): MessageInitShape<typeof NodeProtoSchema> {
  const attribute = Object.entries(attributes).map(([name, value]) => ({ name, ...attributeValue(value) }));
  return { name: outputs[0]!, opType, ...(domain && { domain }), input: [...inputs], output: [...outputs], attribute };
}

function attributeValue(value: OnnxAttribute): MessageInitShape<typeof AttributeProtoSchema> {
  if (typeof value === 'string') return { type: AttributeType.STRING, s: new TextEncoder().encode(value) };
  if (typeof value === 'number' || typeof value === 'bigint') return { type: AttributeType.INT, i: BigInt(value) };
  if ('float' in value) return { type: AttributeType.FLOAT, f: value.float };
  return { type: AttributeType.INTS, ints: value.map(BigInt) };
}

/** Symbolic sizes are printed: `batch_size`, `past + seq`. */
function valueInfo(name: string, { dtype, shape }: TensorType): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = shape.map((d) => ({
    value:
      typeof d === 'number'
        ? { case: 'dimValue' as const, value: BigInt(d) }
        : { case: 'dimParam' as const, value: printDim(d) },
  }));
  return { name, type: { value: { case: 'tensorType', value: { elemType: elementTypes[dtype], shape: { dim } } } } };
}
