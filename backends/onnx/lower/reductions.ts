import type { NodeOf } from '../../../ir/graph.ts';
import type { LoweringContext } from './context.ts';

/** Softmax along the last axis. */
export function lowerSoftmax(context: LoweringContext, node: NodeOf<'softmax'>): void {
  context.emit('Softmax', [context.tensor(node.inputs[0]!)], node.outputs[0]!, { axis: -1 });
}

/** The mean along the last axis, which stays with size 1. */
export function lowerReduceMean(context: LoweringContext, node: NodeOf<'reduce_mean'>): void {
  context.emit('ReduceMean', [context.tensor(node.inputs[0]!), context.ints(-1)], node.outputs[0]!, { keepdims: 1 });
}
