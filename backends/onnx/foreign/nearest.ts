import { create, toBinary } from '@bufbuild/protobuf';
import { elementCount, type Tensor } from '../../../ir/tensor.ts';
import { readModelFile } from '../decode.ts';
import { ModelProtoSchema, ValueInfoProtoSchema } from '../proto/onnx_pb.ts';

/** Ops that make what a layer ends with: sums, scaled values, norms, whatever library names them. */
const ENDS = /^(Add|Mul|Div|Cast|\w*Normalization)$/;

/** A model that also returns `tensors`, which need not be typed: the runtime infers that. */
export async function withOutputs(path: string, tensors: readonly string[]): Promise<Uint8Array> {
  const { model } = await readModelFile(path);
  const { graph } = model;
  const known = new Set(graph.output.map(({ name }) => name));
  const added = tensors
    .filter((name) => !known.has(name))
    .map((name) => graph.valueInfo.find((info) => info.name === name) ?? create(ValueInfoProtoSchema, { name }));
  const valueInfo = graph.valueInfo.filter(({ name }) => !tensors.includes(name));
  return toBinary(ModelProtoSchema, {
    ...model,
    graph: { ...graph, valueInfo, output: [...graph.output, ...added] },
  });
}

/** Tensors of a graph among which its stages are looked for; what lies within branches and loops cannot be returned. */
export async function candidates(path: string): Promise<readonly string[]> {
  const { graph } = (await readModelFile(path)).model;
  return graph.node.flatMap(({ opType, output }) => (ENDS.test(opType) ? output.filter((name) => name !== '') : []));
}

/**
 * Of tensors with the elements of `wanted`, the one that is nearest by relative L2 over the rows that count; undefined
 * when there is none of that size.
 */
export function nearest(wanted: Tensor, among: Iterable<Tensor>, counts?: readonly boolean[]): Tensor | undefined {
  const width = wanted.shape.at(-1)!;
  const count = elementCount(wanted.shape);
  let best: { readonly data: Tensor['data']; readonly distance: number } | undefined;
  for (const { shape, data } of among) {
    if (shape.at(-1) !== width || elementCount(shape) !== count) continue;
    const distance = squaredDistance(data, wanted.data, width, counts);
    if (!best || distance < best.distance) best = { data, distance };
  }
  return best && { dtype: 'f32', shape: wanted.shape, data: best.data };
}

/** Infinity where one of them is not finite. */
function squaredDistance(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  width: number,
  counts: readonly boolean[] | undefined,
): number {
  let sum = 0;
  for (let i = 0; i < b.length; i++)
    if (counts?.[Math.floor(i / width)] ?? true) sum += (a[i]! - b[i]!) * (a[i]! - b[i]!);
  return Number.isFinite(sum) ? sum : Infinity;
}
