import type { RoundedActivations } from '../../backend.ts';
import type { ForeignBundle } from '../../foreign.ts';
import { elementTypeInfo } from '../dtype.ts';
import type { GraphProto } from '../proto/onnx_pb.ts';

type Precision = ForeignBundle['precision'];

/** The finest first. */
const ORDER: readonly Precision[] = ['fp32', 'bf16', 'fp16', 'int8', 'int4'];
const FLOATS: Readonly<Record<string, Precision>> = { f32: 'fp32', f16: 'fp16', bf16: 'bf16' };
/** Ops over codes of weights, and what they have for the bits of one. */
const CODED = /^(MatMulNBits|GatherBlockQuantized|DequantizeLinear|MatMulInteger|QLinearMatMul|DynamicQuantizeMatMul)$/;

/** What most elements of a graph's initializers are stored in; codes where a part of them is of codes. */
export function precisionOf(graph: GraphProto): Precision {
  const elements = new Map<string, number>();
  for (const { dims, dataType } of graph.initializer) {
    const name = elementTypeInfo[dataType]?.name ?? '';
    elements.set(name, (elements.get(name) ?? 0) + dims.reduce((product, size) => product * Number(size), 1));
  }
  const coded = graph.node.filter(({ opType }) => CODED.test(opType));
  if (coded.length > 0) {
    const isNarrow = coded.some(({ attribute }) => attribute.some(({ name, i }) => name === 'bits' && i === 4n));
    return isNarrow || elements.has('u4') || elements.has('i4') ? 'int4' : 'int8';
  }
  const most = Object.keys(FLOATS).toSorted((a, b) => (elements.get(b) ?? 0) - (elements.get(a) ?? 0))[0]!;
  return FLOATS[most]!;
}

/** Of several graphs, what rounds most. */
export function coarsest(all: readonly Precision[]): Precision {
  return ORDER[Math.max(...all.map((each) => ORDER.indexOf(each)))]!;
}

/** Ops that round activations to a range that they find as they run, one for a whole tensor. */
const ROUNDS_WHOLE = /^(DynamicQuantizeLinear|DynamicQuantizeMatMul)$/;

/** How graphs round activations to 8 bits before products; the coarsest of them, undefined where none does. */
export function roundedActivations(graphs: readonly GraphProto[]): RoundedActivations | undefined {
  const nodes = graphs.flatMap(({ node }) => node);
  if (nodes.some(({ opType }) => ROUNDS_WHOLE.test(opType))) return 'as a whole';
  const inBlocks = nodes.some(
    ({ opType, attribute }) =>
      // with a range that is stored
      opType === 'QuantizeLinear' ||
      (opType === 'MatMulNBits' && attribute.some(({ name, i }) => name === 'accuracy_level' && i === 4n)),
  );
  return inBlocks ? 'in blocks' : undefined;
}
