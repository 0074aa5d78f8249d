import type { TfAttr, TfDType, TfGraph, TfPort, TfWeight } from './graph.ts';
import type { WeightGroup, WeightSpec } from './plan.ts';

/** DataType of tensorflow's types.proto. */
const TYPES: Readonly<Record<TfDType, string>> = { float32: 'DT_FLOAT', int32: 'DT_INT32', bool: 'DT_BOOL' };

export interface ModelJsonOptions {
  readonly weights: readonly WeightGroup[];
  /** For whoever finds the file alone. */
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly convertedBy: string;
}

/**
 * A graph model as tfjs's `loadGraphModel` reads it (tfjs-core, io/types.ts ModelJSON): the topology is a GraphDef in
 * the JSON form of protobuf, with Placeholder and Const nodes for inputs and weights.
 */
export function modelJson(graph: TfGraph, { weights, metadata, convertedBy }: ModelJsonOptions): object {
  const node = [
    ...graph.inputs.map(({ name, dtype, shape }) => ({
      name,
      op: 'Placeholder',
      attr: attrs({
        dtype: { type: dtype },
        shape: { shape: shape.map((size) => (typeof size === 'number' ? size : -1)) },
      }),
    })),
    ...graph.weights.map(({ name, dtype, shape }) => ({
      name,
      op: 'Const',
      attr: {
        dtype: { type: TYPES[dtype] },
        value: { tensor: { dtype: TYPES[dtype], tensorShape: shapeProto(shape) } },
      },
    })),
    ...graph.nodes.map(({ name, op, inputs, attrs: given }) => ({ name, op, input: inputs, attr: attrs(given) })),
  ];
  return {
    format: 'graph-model',
    generatedBy: convertedBy,
    convertedBy,
    signature: { inputs: signature(graph.inputs), outputs: signature(graph.outputs) },
    userDefinedMetadata: {
      ...metadata,
      stages: Object.fromEntries(graph.stages.map(({ name, tensor }) => [name, tensor])),
    },
    modelTopology: { node, library: {}, versions: { producer: 1 } },
    weightsManifest: weights,
  };
}

/** An entry of a weightsManifest. */
export function specOf({ name, shape, dtype, quantization }: TfWeight): WeightSpec {
  return { name, shape: [...shape], dtype, ...(quantization && { quantization: { ...quantization } }) };
}

/** A shape as TensorShapeProto; -1 for a size that is known later. */
function shapeProto(shape: readonly number[]): object {
  return { dim: shape.map((size) => ({ size: String(size) })) };
}

function signature(ports: readonly TfPort[]): object {
  return Object.fromEntries(
    ports.map(({ name, tensor, dtype, shape }) => [
      name,
      {
        name: tensor,
        dtype: TYPES[dtype],
        tensorShape: shapeProto(shape.map((size) => (typeof size === 'number' ? size : -1))),
      },
    ]),
  );
}

function attrs(given: Readonly<Record<string, TfAttr>>): object {
  return Object.fromEntries(Object.entries(given).map(([name, attr]) => [name, attrValue(attr)]));
}

/** AttrValue of attr_value.proto: bytes are base64. */
function attrValue(attr: TfAttr): object {
  if ('type' in attr) return { type: TYPES[attr.type] };
  if ('int' in attr) return { i: String(attr.int) };
  if ('float' in attr) return { f: attr.float };
  if ('bool' in attr) return { b: attr.bool };
  if ('floats' in attr) return { list: { f: attr.floats } };
  if ('ints' in attr) return { list: { i: attr.ints.map(String) } };
  if ('shape' in attr) return { shape: shapeProto(attr.shape) };
  if ('text' in attr) return { s: base64(attr.text) };
  return { list: { s: attr.texts.map(base64) } };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
