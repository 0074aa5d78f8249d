import type { Dim } from '../../../ir/dim.ts';
import type { NodeOf, Value } from '../../../ir/graph.ts';
import type { LoweringContext } from './context.ts';

/*
 * Composites that the CPU and WebGPU providers of onnxruntime 1.30 both run as one kernel (seen with profiling, f32):
 * Gelu-20, LayerNormalization-17, RMSNormalization-23, RotaryEmbedding-23. Attention is not among them: see
 * attention.ts.
 */

/** Gelu-20 with approximate='tanh'. */
export function lowerGeluTanh(context: LoweringContext, node: NodeOf<'gelu_tanh'>): void {
  context.emit('Gelu', [context.tensor(node.inputs[0]!)], node.outputs[0]!, { approximate: 'tanh' });
}

/** Gelu-20 with approximate='none'. */
export function lowerGeluErf(context: LoweringContext, node: NodeOf<'gelu_erf'>): void {
  context.emit('Gelu', [context.tensor(node.inputs[0]!)], node.outputs[0]!, { approximate: 'none' });
}

/** Statistics in f32 (stash_type's default), whatever the dtype. */
export function lowerLayerNorm(context: LoweringContext, node: NodeOf<'layer_norm'>): void {
  context.emit(
    'LayerNormalization',
    node.inputs.map((value) => context.tensor(value)),
    node.outputs[0]!,
    { axis: -1, epsilon: { float: node.attrs.epsilon } },
  );
}

/** RMSNormalization-23 over the last axis. */
export function lowerRmsNorm(context: LoweringContext, node: NodeOf<'rms_norm'>): void {
  context.emit(
    'RMSNormalization',
    node.inputs.map((value) => context.tensor(value)),
    node.outputs[0]!,
    { axis: -1, epsilon: { float: node.attrs.epsilon } },
  );
}

/**
 * The 3-D form [B, S, N·H] keeps the IR's order of axes: heads need no transpose there and back; only a symbolic number
 * of heads does.
 */
export function lowerRope(context: LoweringContext, node: NodeOf<'rope'>): void {
  const [x, positions, cos, sin] = node.inputs as readonly [Value, Value, Value, Value];
  const result = node.outputs[0]!;
  const [, , heads, size] = x.type.shape as readonly [Dim, Dim, Dim, number];
  const tables = [context.tensor(cos), context.tensor(sin), context.tensor(positions)];
  if (typeof heads !== 'number') {
    const swap = { perm: [0, 2, 1, 3] };
    const swapped = context.step('Transpose', [context.tensor(x)], `${result.name}.swapped`, swap);
    return context.emit(
      'Transpose',
      [context.step('RotaryEmbedding', [swapped, ...tables], `${result.name}.rotated`)],
      result,
      swap,
    );
  }
  const joined = context.step(
    'Reshape',
    [context.tensor(x), context.ints(0, 0, heads * size)],
    `${result.name}.joined`,
  );
  const rotated = context.step('RotaryEmbedding', [joined, ...tables], `${result.name}.rotated`, { num_heads: heads });
  context.emit('Reshape', [rotated, context.ints(0, 0, heads, size)], result);
}
