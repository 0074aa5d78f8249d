import type { NodeOf, Value } from '../../../ir/graph.ts';
import type { LoweringContext } from './context.ts';

/** ONNX Runtime's SkipSimplifiedLayerNormalization: its fourth result is the sum. */
export function lowerAddRmsNorm(context: LoweringContext, node: NodeOf<'add_rms_norm'>): void {
  const [normed, sum] = node.outputs as readonly [Value, Value];
  const operands = node.inputs.map((value) => context.tensor(value));
  context.emitAll(
    'SkipSimplifiedLayerNormalization',
    operands,
    [normed, undefined, undefined, sum],
    { epsilon: { float: node.attrs.epsilon } },
    'com.microsoft',
  );
}
