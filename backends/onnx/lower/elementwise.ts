import type { NodeOf } from '../../../ir/graph.ts';
import type { OpName } from '../../../ir/ops/index.ts';
import type { LoweringContext } from './context.ts';

/** A rule for ops that ONNX has under another name, with the same operands, broadcasting and no attributes. */
export function same(opType: string) {
  return <N extends OpName>(context: LoweringContext, node: NodeOf<N>): void =>
    context.emit(
      opType,
      node.inputs.map((value) => context.tensor(value)),
      node.outputs[0]!,
    );
}
