import { dtypes } from '../../../ir/dtypes/index.ts';
import type { NodeOf, Value } from '../../../ir/graph.ts';
import { elementTypes } from '../dtype.ts';
import type { LoweringContext } from './context.ts';
import type { OnnxAttribute } from './model.ts';

/*
 * What was measured with onnxruntime 1.30 against arithmetic in f64, with masks of a prefix-LM, padding on the left,
 * several KV heads, softcaps and batches (targets.test.ts repeats the part that can be repeated here):
 *
 * - Attention-23 is right on the CPU in all of them, softcap between scores and mask. In f16 it rounds scores to f16:
 *   20 times the error, so that f16 operands are widened. It falls back to the CPU under WebGPU. With a softcap a
 * prefill takes twice the time of the fold (npm run bench -- --only attention), so that `ort-cpu` has it without one
 * only.
 * - GroupQueryAttention with causal = 0 and a bias is right on the CPU, but refuses a batch of several with several new
 *   tokens behind a cache, and takes twice the time of a step. Under WebGPU it refuses causal = 0 and ignores softcap;
 * on CUDA it refuses a bias. It is not written.
 * - MultiHeadAttention has no softcap and wants keys and values copied for every head. Under WebGPU its result is wrong
 *   from 32 queries on where subgroups are small (SwiftShader's have 4): errors of 0.1. It is not written.
 */
const FACTORS = { scale: { float: 1 } } as const; // q is scaled already; the default is H^-0.5

/** Heads before positions, as Attention-23 and the KV cache have them. */
const HEADS_FIRST = { perm: [0, 2, 1, 3] } as const;

/** Attention-23 over f32, whatever the operands are. */
export function lowerAttentionWide(context: LoweringContext, node: NodeOf<'attention'>): void {
  const [q, k, v, bias] = node.inputs as readonly [Value, Value, Value, Value?];
  const result = node.outputs[0]!;
  const wide = (value: Value) =>
    value.type.dtype === 'f32'
      ? context.tensor(value)
      : cast(context, context.tensor(value), 'f32', `${value.name}.wide`);
  const operands = [
    context.step('Transpose', [wide(q)], `${result.name}.query`, HEADS_FIRST),
    wide(k),
    wide(v),
    ...(bias ? [context.tensor(bias)] : []),
  ];
  const mixed = context.step('Attention', operands, `${result.name}.heads`, attributesOf(node));
  if (result.type.dtype === 'f32') return context.emit('Transpose', [mixed], result, HEADS_FIRST);
  context.emit('Cast', [context.step('Transpose', [mixed], `${result.name}.wide`, HEADS_FIRST)], result, {
    to: elementTypes[result.type.dtype],
  });
}

/** Attention-23 over operands as they are; the CUDA kernel wants the mask in their dtype. It sums in f32. */
export function lowerAttention(context: LoweringContext, node: NodeOf<'attention'>): void {
  const [q, k, v, bias] = node.inputs as readonly [Value, Value, Value, Value?];
  const result = node.outputs[0]!;
  const query = context.step('Transpose', [context.tensor(q)], `${result.name}.query`, HEADS_FIRST);
  const operands = [
    query,
    context.tensor(k),
    context.tensor(v),
    ...(bias ? [maskIn(context, bias, q.type.dtype)] : []),
  ];
  context.emit(
    'Transpose',
    [context.step('Attention', operands, `${result.name}.heads`, attributesOf(node))],
    result,
    HEADS_FIRST,
  );
}

/**
 * Every attribute of the op, by name: an attribute that is added to it does not compile here until it has its place.
 */
function attributesOf({ attrs }: NodeOf<'attention'>): Readonly<Record<string, OnnxAttribute>> {
  const { softcap, ...others } = attrs;
  others satisfies Readonly<Record<string, never>>;
  return softcap === 0 ? FACTORS : { ...FACTORS, softcap: { float: softcap } };
}

/**
 * The additive mask in a narrow dtype, made once: the masked score of f32 is the least number of f16, and never
 * -Infinity, which makes NaN of a row of them.
 */
function maskIn(context: LoweringContext, bias: Value, dtype: Value['type']['dtype']): string {
  const tensor = context.tensor(bias);
  if (dtype === bias.type.dtype) return tensor;
  return context.shared(`${tensor} as ${dtype}`, () => {
    const bounded = context.step(
      'Max',
      [tensor, context.literal('f32', [], [-dtypes[dtype].max])],
      `${tensor}.bounded`,
    );
    return cast(context, bounded, dtype, `${tensor}.${dtype}`);
  });
}

function cast(context: LoweringContext, tensor: string, to: keyof typeof elementTypes, hint: string): string {
  return context.step('Cast', [tensor], hint, { to: elementTypes[to] });
}
