import { dtypes } from '../../../ir/dtypes/index.ts';
import type { Graph, Value } from '../../../ir/graph.ts';
import { elementCount, tensorData, type TensorData } from '../../../ir/tensor.ts';
import { castData } from '../../../ir/views/cast.ts';
import { dequantizedData } from '../../../ir/views/dequantize.ts';
import { reshapeData } from '../../../ir/views/select.ts';

/** A value that no input changes. */
export interface ConstantValue {
  readonly data: TensorData;
  /** The same before it was widened: how it should lie on the device. */
  readonly stored: TensorData;
  /** The number, when it is a literal of one element: it becomes text. */
  readonly scalar?: number;
}

/** Weights and literals, also through casts, reshapes and dequantizations, which are views of them. Nothing is read. */
export function constantsOf({ constants, nodes }: Graph): ReadonlyMap<Value, ConstantValue> {
  const known = new Map<Value, ConstantValue>();
  for (const constant of constants) {
    const data = constant.kind === 'weight' ? constant.data : tensorData(constant.tensor);
    const isScalar = constant.kind === 'literal' && constant.tensor.data.length === 1;
    known.set(constant.value, { data, stored: data, ...(isScalar && { scalar: constant.tensor.data[0]! }) });
  }
  for (const node of nodes) {
    const operands = node.inputs.map((input) => known.get(input));
    const [x] = operands;
    if (!x || !operands.every((operand) => operand !== undefined)) continue;
    const { type } = node.outputs[0]!;
    const shape = type.shape as readonly number[];
    if (node.op === 'cast') {
      const data = castData(x.data, node.attrs.to);
      known.set(node.outputs[0]!, {
        data,
        stored: node.attrs.to === 'f32' && x.data.dtype === 'f16' ? x.stored : data,
        ...(x.scalar !== undefined && { scalar: dtypes[node.attrs.to].round(x.scalar) }),
      });
    } else if (node.op === 'reshape' && type.shape.every((dim) => typeof dim === 'number') && elementCount(shape) > 0) {
      known.set(node.outputs[0]!, { ...x, data: reshapeData(x.data, shape), stored: reshapeData(x.stored, shape) });
    } else if (node.op === 'dequantize') {
      const [q, scales, zeros] = operands;
      const data = dequantizedData(
        { format: node.attrs.format, q: q!.data, scales: scales!.data, ...(zeros && { zeros: zeros.data }) },
        shape,
      );
      known.set(node.outputs[0]!, { data, stored: data });
    }
  }
  return known;
}
