import type { NodeOf } from '../../../ir/graph.ts';
import { elementTypes } from '../dtype.ts';
import type { LoweringContext } from './context.ts';

/** ONNX leaves floats outside of an integer's range undefined, where the IR saturates: no graph here casts such. */
export function lowerCast(context: LoweringContext, node: NodeOf<'cast'>): void {
  context.emit('Cast', [context.tensor(node.inputs[0]!)], node.outputs[0]!, { to: elementTypes[node.attrs.to] });
}
