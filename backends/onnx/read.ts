import { dirname } from 'node:path';
import { BackendError } from '../error.ts';
import { readModelFile } from './decode.ts';
import { elementTypeInfo } from './dtype.ts';
import { externalFileSize } from './external_path.ts';
import {
  TensorProto_DataLocation as DataLocation,
  type GraphProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './proto/onnx_pb.ts';

export interface OnnxPort {
  readonly name: string;
  /** `f32`; ONNX's number when it is no dtype of ours; empty when the file does not say. */
  readonly dtype: string;
  /** Undefined when the file does not say. */
  readonly shape: readonly (number | string)[] | undefined;
}

export interface OnnxInitializer {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly byteLength: number;
  /** Where the bytes lie; undefined inside the model file. */
  readonly external: { readonly location: string; readonly offset: number } | undefined;
}

/** What an .onnx file says about itself; no weight is read. */
export interface OnnxSummary {
  readonly file: string;
  readonly irVersion: number;
  readonly producer: string;
  /** Versions by domain; the empty domain is ai.onnx. */
  readonly opsets: ReadonlyMap<string, number>;
  readonly metadata: ReadonlyMap<string, string>;
  readonly graph: string;
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
  /** Nodes by `domain.OpType`, subgraphs included; most frequent first. */
  readonly ops: ReadonlyMap<string, number>;
  readonly initializers: readonly OnnxInitializer[];
  /** Elements of all initializers of a float or quantized type. */
  readonly parameters: number;
  /** Bytes of all initializers. */
  readonly bytes: number;
}

/**
 * Describes an .onnx file that need not be ours: lengths, shapes, locations and offsets are checked, weights stay
 * unread.
 * @throws BackendError naming file, tensor and byte offset.
 */
export async function readOnnx(path: string): Promise<OnnxSummary> {
  const { model } = await readModelFile(path);
  const { graph } = model;
  const fileSizes = new Map<string, number>();
  const initializers: OnnxInitializer[] = [];
  for (const tensor of graph.initializer) initializers.push(await readInitializer(tensor, path, fileSizes));
  const ops = new Map<string, number>();
  countOps(graph, ops);
  const shapes = new Set(['i64', 'i32', 'bool']);
  return {
    file: path,
    irVersion: Number(model.irVersion),
    producer: model.producerName,
    opsets: new Map(model.opsetImport.map(({ domain, version }) => [domain, Number(version)])),
    metadata: new Map(model.metadataProps.map(({ key, value }) => [key, value])),
    graph: graph.name,
    inputs: graph.input.map(port),
    outputs: graph.output.map(port),
    ops: new Map([...ops].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))),
    initializers,
    parameters: initializers.reduce(
      (sum, { dtype, shape }) => sum + (shapes.has(dtype) ? 0 : shape.reduce((n, d) => n * d, 1)),
      0,
    ),
    bytes: initializers.reduce((sum, { byteLength }) => sum + byteLength, 0),
  };
}

function port({ name, type }: ValueInfoProto): OnnxPort {
  const tensor = type?.value.case === 'tensorType' ? type.value.value : undefined;
  const shape = tensor?.shape?.dim.map(({ value }) =>
    value.case === 'dimValue' ? Number(value.value) : (value.value ?? '?'),
  );
  return { name, dtype: tensor ? dtypeName(tensor.elemType) : '', shape };
}

const dtypeName = (type: number): string => elementTypeInfo[type]?.name ?? `onnx:${type}`;

async function readInitializer(
  tensor: TensorProto,
  path: string,
  fileSizes: Map<string, number>,
): Promise<OnnxInitializer> {
  const fail = (message: string, offset?: number): never => {
    throw new BackendError('bundle-damaged', message, {
      file: path,
      tensor: tensor.name,
      ...(offset !== undefined && { offset }),
      hint: 'convert again, or fetch the bundle again',
    });
  };
  const info = elementTypeInfo[tensor.dataType];
  if (!info) return fail(`element type ${tensor.dataType} has no fixed size`);
  const count = tensor.dims.reduce((n, d) => (d < 0n ? fail(`negative size ${d} in its shape`) : n * d), 1n);
  const size = (count * BigInt(info.bits) + 7n) / 8n;
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) return fail(`its shape [${tensor.dims.join(', ')}] needs ${size} bytes`);
  const summary = { name: tensor.name, dtype: info.name, shape: tensor.dims.map(Number), byteLength: Number(size) };
  if (tensor.dataLocation !== DataLocation.EXTERNAL) {
    const { rawData } = tensor;
    if (rawData.byteLength > 0 && rawData.byteLength !== summary.byteLength)
      fail(`${rawData.byteLength} bytes for ${info.name}[${tensor.dims.join(', ')}] (${size} bytes)`);
    return { ...summary, external: undefined };
  }
  const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
  const integer = (key: string): number | undefined => {
    const text = entries.get(key);
    if (text === undefined) return undefined;
    if (!/^\d{1,16}$/.test(text) || !Number.isSafeInteger(Number(text)))
      return fail(`external data ${key} ${JSON.stringify(text)} is not a byte count`);
    return Number(text);
  };
  const location = entries.get('location') ?? fail('external data without a location');
  const offset = integer('offset') ?? 0;
  const length = integer('length') ?? summary.byteLength;
  if (length !== summary.byteLength)
    fail(`external data of ${length} bytes for ${info.name}[${tensor.dims.join(', ')}] (${size} bytes)`, offset);
  const fileSize = fileSizes.get(location) ?? (await externalFileSize(dirname(path), location, path, tensor.name));
  fileSizes.set(location, fileSize);
  if (offset + length > fileSize)
    fail(`external data ends at byte ${offset + length} of ${location}, which has ${fileSize}`, offset);
  return { ...summary, external: { location, offset } };
}

/** protobuf-es bounds the depth of subgraphs when it decodes. */
function countOps(graph: GraphProto, ops: Map<string, number>): void {
  for (const node of graph.node) {
    const name = opName(node);
    ops.set(name, (ops.get(name) ?? 0) + 1);
    for (const { g, graphs } of node.attribute) for (const inner of g ? [g, ...graphs] : graphs) countOps(inner, ops);
  }
}

const opName = ({ domain, opType }: NodeProto): string =>
  domain === '' || domain === 'ai.onnx' ? opType : `${domain}.${opType}`;
