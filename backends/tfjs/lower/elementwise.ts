import type { OpName } from '../../../ir/ops/index.ts';
import type { Rule } from '../../lowering.ts';
import type { NodeOf, Value } from '../../../ir/graph.ts';
import { typed } from './attrs.ts';
import { BackendError } from '../../error.ts';
import { tfDType, type LoweringContext } from './context.ts';
import type { Operand } from './operand.ts';

/** An op of tfjs that takes the same operands. */
export function same<N extends OpName>(op: string): Rule<LoweringContext, N> {
  return (context, node) => {
    const inputs = node.inputs.map((value) => context.tensor(value));
    context.emit(op, inputs, node.outputs[0]!, typed(inputs[0]!));
  };
}

/**
 * A cast that changes nothing here, as of a float that is only stored narrow, leaves the tensor as it is. To bool is
 * whether it is not 0, which the wasm backend's Cast is not.
 */
export function lowerCast(context: LoweringContext, node: NodeOf<'cast'>): void {
  const [value] = node.inputs as readonly [Value];
  const result = node.outputs[0]!;
  if (result.type.dtype === 'f16')
    throw new BackendError('unsupported', 'tfjs computes in f32: it rounds nothing to f16', {
      tensor: result.name,
      hint: 'f16 is how weights are stored',
    });
  const to = tfDType(result.type.dtype);
  if (tfDType(value.type.dtype) === to) return context.equate(result, value);
  const x = context.tensor(value);
  if (to === 'bool') {
    const zero = context.literal(x.dtype === 'float32' ? 'f32' : 'i32', [], [0], 'zero');
    return context.emit(
      'LogicalNot',
      [context.step('Equal', [x, zero], `${result.name}.zero`, { dtype: 'bool', rank: x.rank }, typed(x))],
      result,
      typed({ dtype: 'bool' }),
    );
  }
  context.emit('Cast', [x], result, { SrcT: { type: x.dtype }, DstT: { type: to }, Truncate: { bool: false } });
}

/** Bools by logic: the wasm backend's Select has none. */
export function lowerWhere(context: LoweringContext, node: NodeOf<'where'>): void {
  const inputs = node.inputs.map((value) => context.tensor(value));
  const [condition, yes, no] = inputs as [Operand, Operand, Operand];
  if (yes.dtype === 'bool') {
    const { name, type } = node.outputs[0]!;
    const bool = { dtype: 'bool', rank: type.shape.length } as const;
    const chosen = context.step('LogicalAnd', [condition, yes], `${name}.chosen`, bool, typed(bool));
    const other = context.step(
      'LogicalAnd',
      [context.step('LogicalNot', [condition], `${name}.not`, condition, typed(bool)), no],
      `${name}.other`,
      bool,
      typed(bool),
    );
    return context.emit('LogicalOr', [chosen, other], node.outputs[0]!, typed(bool));
  }
  context.emit('SelectV2', inputs, node.outputs[0]!, typed(inputs[1]!));
}

/** Softmax along the last axis. */
export function lowerSoftmax(context: LoweringContext, node: NodeOf<'softmax'>): void {
  const x = context.tensor(node.inputs[0]!);
  context.emit('Softmax', [x], node.outputs[0]!, typed(x));
}

/** The mean along the last axis, which stays with size 1. */
export function lowerReduceMean(context: LoweringContext, node: NodeOf<'reduce_mean'>): void {
  const x = context.tensor(node.inputs[0]!);
  context.emit('Mean', [x, context.ints(x.rank - 1)], node.outputs[0]!, {
    ...typed(x),
    Tidx: { type: 'int32' },
    keep_dims: { bool: true },
  });
}
