import type { OpName } from '../../../ir/ops/index.ts';
import type { Rule } from '../../lowering.ts';
import type { NodeOf, Value } from '../../../ir/graph.ts';
import { typed } from './attrs.ts';
import { tfDType, type LoweringContext } from './context.ts';

/** An op of tfjs that takes the same operands. */
export function same<N extends OpName>(op: string): Rule<LoweringContext, N> {
  return (context, node) => {
    const inputs = (node.inputs as readonly Value[]).map((value) => context.tensor(value));
    context.emit(op, inputs, (node.outputs as readonly Value[])[0]!, typed(inputs[0]!));
  };
}

/** A cast that changes nothing here, as of a float that is only stored narrow, leaves the tensor as it is. */
export function lowerCast(context: LoweringContext, node: NodeOf<'cast'>): void {
  const [value] = node.inputs as readonly [Value];
  const result = node.outputs[0]!;
  const to = tfDType(result.type.dtype);
  if (tfDType(value.type.dtype) === to) return context.equate(result, value);
  const x = context.tensor(value);
  context.emit('Cast', [x], result, { SrcT: { type: x.dtype }, DstT: { type: to }, Truncate: { bool: false } });
}

export function lowerWhere(context: LoweringContext, node: NodeOf<'where'>): void {
  const inputs = node.inputs.map((value) => context.tensor(value));
  context.emit('SelectV2', inputs, node.outputs[0]!, typed(inputs[1]!));
}

export function lowerSoftmax(context: LoweringContext, node: NodeOf<'softmax'>): void {
  const x = context.tensor(node.inputs[0]!);
  context.emit('Softmax', [x], node.outputs[0]!, typed(x));
}

export function lowerReduceMean(context: LoweringContext, node: NodeOf<'reduce_mean'>): void {
  const x = context.tensor(node.inputs[0]!);
  context.emit('Mean', [x, context.ints(x.rank - 1)], node.outputs[0]!, { ...typed(x), Tidx: { type: 'int32' }, keep_dims: { bool: true } });
}
