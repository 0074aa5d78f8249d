import type { NodeOf, Value } from '../../../ir/graph.ts';
import type { TensorData } from '../../../ir/tensor.ts';
import { transposeData } from '../../../ir/views/transpose.ts';
import type { LoweringContext } from './context.ts';

/**
 * A transposed weight is read whole once, so weights above this stay as they are and Gemm multiplies by their
 * transpose: the head over the vocabulary and the widest layers; so do weights that are widened when the session opens.
 * Smaller ones become [in, out] for MatMul, the form every provider packs best.
 */
const TRANSPOSE_BYTES = 256 * 1024 * 1024;

/** Transposed views, one for each weight and for as long as it lives, so that shared weights stay shared. */
const transposed = new WeakMap<TensorData, TensorData>();
function transposeOf(data: TensorData): TensorData {
  const known = transposed.get(data) ?? transposeData(data, [1, 0]);
  transposed.set(data, known);
  return known;
}

/**
 * x · Wᵀ + b: MatMul by a matrix that is stored transposed, up to `transposeLimit` bytes, which a transpose has to
 * hold; else as `multiplyByRows`.
 */
export function lowerLinear(context: LoweringContext, node: NodeOf<'linear'>, transposeLimit = TRANSPOSE_BYTES): void {
  const [x, weight, bias] = node.inputs as readonly [Value, Value, Value?];
  const result = node.outputs[0]!;
  const data = context.weightOf(weight);
  if (!data || data.byteLength > transposeLimit)
    return multiplyByRows(context, x, context.tensor(weight), bias, result);
  const matrix = context.weight(transposeOf(data), `${weight.name}.transposed`);
  if (!bias) return context.emit('MatMul', [context.tensor(x), matrix], result);
  context.emit(
    'Add',
    [context.step('MatMul', [context.tensor(x), matrix], `${result.name}.product`), context.tensor(bias)],
    result,
  );
}

/** x · matrixᵀ + bias by Gemm, which takes matrices only: leading axes are folded into rows and unfolded again. */
export function multiplyByRows(
  context: LoweringContext,
  x: Value,
  matrix: string,
  bias: Value | undefined,
  result: Value,
): void {
  const [inner, outer] = [x.type.shape.at(-1) as number, result.type.shape.at(-1) as number];
  const operands = (rows: string) => [rows, matrix, ...(bias ? [context.tensor(bias)] : [])];
  if (x.type.shape.length === 2) return context.emit('Gemm', operands(context.tensor(x)), result, { transB: 1 });
  const rows = context.step('Reshape', [context.tensor(x), context.ints(-1, inner)], `${result.name}.rows`);
  const product = context.step('Gemm', operands(rows), `${result.name}.product`, { transB: 1 });
  const leading = context.step('Shape', [context.tensor(x)], `${result.name}.leading`, { start: 0, end: -1 });
  context.emit(
    'Reshape',
    [product, context.step('Concat', [leading, context.ints(outer)], `${result.name}.shape`, { axis: 0 })],
    result,
  );
}

/** Convolutions of either direction: weights lie as ONNX has them. */
export function lowerConvolution(context: LoweringContext, node: NodeOf<'conv2d' | 'conv_transpose2d'>): void {
  const kernel = node.inputs[1]!.type.shape.slice(2) as number[];
  const { strides, padding } = node.attrs;
  context.emit(
    node.op === 'conv2d' ? 'Conv' : 'ConvTranspose',
    node.inputs.map((value) => context.tensor(value)),
    node.outputs[0]!,
    // none is the default
    { kernel_shape: kernel, strides, ...(padding.some((zeros) => zeros > 0) && { pads: [...padding, ...padding] }) },
  );
}

/** Rows of a table by ids. */
export function lowerGather(context: LoweringContext, node: NodeOf<'gather'>): void {
  context.emit(
    'Gather',
    node.inputs.map((value) => context.tensor(value)),
    node.outputs[0]!,
    { axis: 0 },
  );
}
