import type { Dim } from '../../../ir/dim.ts';
import type { Node, NodeOf, Value } from '../../../ir/graph.ts';
import type { OpName } from '../../../ir/ops/index.ts';
import type { Lowering, Rule } from '../../lowering.ts';
import { appendCacheKernel } from '../kernels/append_cache.ts';
import { convTranspose2dKernel } from '../kernels/conv_transpose2d.ts';
import { conv2dKernel, type Conv2dSpec } from '../kernels/conv2d.ts';
import { dequantizeKernel } from '../kernels/dequantize.ts';
import type { Kernel } from '../kernels/kernel.ts';
import type { MatrixForm } from '../kernels/matrix_form.ts';
import { matmulKernel } from '../kernels/matmul.ts';
import { layerNormKernel, rmsNormKernel } from '../kernels/norms.ts';
import { reduceMeanKernel, softmaxKernel } from '../kernels/rows.ts';
import { convMatrix, convSpec, type Convolution } from './convolution.ts';
import { codedMatrix } from './matrix_source.ts';
import { EXPRESSION_OPS } from './node_expression.ts';
import { unsupported, type PhaseContext } from './phase_context.ts';

/**
 * What no region has covered: one kernel for one op. Those that regions always cover fail here with their name, as
 * expressions do: with every elementwise composite, which is none that is decomposed.
 */
export const lowering: Lowering<PhaseContext> = {
  ...refusing(EXPRESSION_OPS),
  add_rms_norm(context, node) {
    const [x, y, scale] = node.inputs as readonly [Value, Value, Value];
    const [normed, sum] = node.outputs as readonly [Value, Value];
    const kernel = rmsNormKernel({
      shape: x.type.shape,
      residual: true,
      norm: { epsilon: node.attrs.epsilon },
      storeSum: true,
    });
    context.put({
      label: normed.name,
      kernel,
      operands: [context.read(x), context.read(y), context.read(scale), context.write(sum), context.write(normed)],
    });
  },
  append_cache(context, node) {
    const [cache, x] = node.inputs as readonly [Value, Value];
    const [batch, seq, heads, headDim] = x.type.shape as readonly [Dim, Dim, number, number];
    const kernel = appendCacheKernel({ batch, seq, heads, headDim, past: cache.type.shape[2]! });
    context.put({ label: node.outputs[0]!.name, kernel, operands: [context.read(x), context.write(node.outputs[0]!)] });
  },
  attention: refuse,
  conv2d: (context, node) => convolution(context, node, conv2dKernel),
  conv_transpose2d: (context, node) => convolution(context, node, convTranspose2dKernel),
  dequantize(context, node) {
    const [value] = node.inputs as readonly [Value];
    const [q, scales, zeros] = node.inputs.map((input) => context.constantOf(input)?.data);
    if (value.type.shape.length !== 3 || !q || !scales || (node.inputs.length > 2 && !zeros))
      return unsupported(node.outputs[0]!, `dequantize of computed codes`);
    const { format, columns } = node.attrs;
    const matrix = codedMatrix(value.name, { format, q, scales, ...(zeros && { zeros }) }, columns);
    if (!context.store.fits(matrix))
      return unsupported(node.outputs[0]!, 'dequantize of a matrix that no kernel can bind');
    const [placement] = context.store.place(matrix);
    context.put({
      label: node.outputs[0]!.name,
      kernel: dequantizeKernel(matrix.form, matrix.rows, matrix.columns),
      operands: [{ kind: 'range', range: placement!.range }, context.write(node.outputs[0]!)],
    });
  },
  layer_norm: (context, node) =>
    whole(context, node, layerNormKernel({ shape: node.inputs[0]!.type.shape, epsilon: node.attrs.epsilon })),
  linear: refuse,
  matmul: (context, node) =>
    whole(context, node, matmulKernel({ a: node.inputs[0]!.type.shape, b: node.inputs[1]!.type.shape })),
  quantized_gather: refuse,
  quantized_linear: refuse,
  reduce_mean: (context, node) => whole(context, node, reduceMeanKernel(node.inputs[0]!.type.shape)),
  rms_norm: (context, node) =>
    whole(
      context,
      node,
      rmsNormKernel({
        shape: node.inputs[0]!.type.shape,
        residual: false,
        norm: { epsilon: node.attrs.epsilon },
        storeSum: false,
      }),
    ),
  rope: refuse,
  softmax: (context, node) => whole(context, node, softmaxKernel(node.inputs[0]!.type.shape)),
};

/** An element of the result by an invocation. */
function convolution(
  context: PhaseContext,
  node: Convolution,
  kernelOf: (spec: Conv2dSpec, form: MatrixForm, outputs: number) => Kernel,
): void {
  const result = node.outputs[0]!;
  const matrix = convMatrix(context, node);
  if (!matrix || !context.store.fits(matrix))
    return unsupported(result, `${node.op} by computed or very large weights`);
  const [placement] = context.store.place(matrix);
  const [x, , bias] = node.inputs as readonly [Value, Value, Value];
  context.put({
    label: result.name,
    kernel: kernelOf(convSpec(node), matrix.form, result.type.shape[1] as number),
    operands: [context.read(x), { kind: 'range', range: placement!.range }, context.read(bias), context.write(result)],
  });
}

/** A kernel that binds all operands in order, then the result. */
function whole(
  context: PhaseContext,
  node: NodeOf<'layer_norm' | 'matmul' | 'reduce_mean' | 'rms_norm' | 'softmax'>,
  kernel: Kernel,
): void {
  context.put({
    label: node.outputs[0]!.name,
    kernel,
    operands: [...node.inputs.map((input) => context.read(input)), context.write(node.outputs[0]!)],
  });
}

function refusing<N extends OpName>(names: readonly N[]): { readonly [K in N]: Rule<PhaseContext, K> } {
  return Object.fromEntries(names.map((name) => [name, refuse])) as { readonly [K in N]: typeof refuse };
}

function refuse(_: PhaseContext, node: Pick<Node, 'op' | 'inputs' | 'outputs'>): never {
  return unsupported(
    node.outputs[0]!,
    `${node.op} of ${node.inputs.map((input) => `${input.type.dtype}[${input.type.shape.length} axes]`).join(', ')} as it stands here`,
  );
}
