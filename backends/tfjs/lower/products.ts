import { sameDim, type Dim } from '../../../ir/dim.ts';
import type { NodeOf, Value } from '../../../ir/graph.ts';
import type { TensorData } from '../../../ir/tensor.ts';
import { transposeData } from '../../../ir/views/transpose.ts';
import { INT32, typed } from './attrs.ts';
import type { LoweringContext } from './context.ts';
import type { Operand } from './operand.ts';
import { reshaped, transposed } from './shapes.ts';

/** Transposed views, one for each weight and for as long as it lives, so that shared weights stay shared. */
const columnsFirst = new WeakMap<TensorData, TensorData>();

/** A matrix of checkpoints [N, K] as [K, N]. */
export function transposeOf(data: TensorData): TensorData {
  const known = columnsFirst.get(data) ?? transposeData(data, [1, 0]);
  columnsFirst.set(data, known);
  return known;
}

/** How a matrix [N, K] is multiplied by. */
export interface Matrix {
  readonly operand: Operand;
  /** It lies as [N, K]. */
  readonly isRows: boolean;
}

/**
 * As [K, N]: the only form that the wasm backend multiplies by XNNPACK, and no kernel is slower with it. Where rows are
 * also looked up by the host, it stays [N, K].
 */
function matrixOf(context: LoweringContext, weight: Value): Matrix {
  const data = context.weightOf(weight);
  if (!data)
    return { operand: transposed(context, context.tensor(weight), [1, 0], `${weight.name}.transposed`), isRows: false };
  if (context.rowsFirst) return { operand: context.floatWeight(data, weight.name), isRows: true };
  return { operand: context.floatWeight(transposeOf(data), `${weight.name}.transposed`), isRows: false };
}

/** x · Wᵀ + b. */
export function lowerLinear(context: LoweringContext, node: NodeOf<'linear'>): void {
  const [x, weight, bias] = node.inputs as readonly [Value, Value, Value?];
  const result = node.outputs[0]!;
  const { operand, isRows } = matrixOf(context, weight);
  const rows = rowsOf(context, x);
  const inputs = bias ? [rows, operand, context.tensor(bias)] : [rows, operand];
  const product = { ...typed(rows), transpose_a: { bool: false }, transpose_b: { bool: isRows } };
  inColumns(context, result, (hint) =>
    bias
      ? {
          op: '_FusedMatMul',
          inputs,
          attrs: { ...product, num_args: { int: 1 }, fused_ops: { texts: ['BiasAdd'] }, epsilon: { float: 0 } },
          hint,
        }
      : { op: 'MatMul', inputs, attrs: product, hint },
  );
}

interface Product {
  readonly op: string;
  readonly inputs: readonly Operand[];
  readonly attrs: Parameters<LoweringContext['emit']>[3];
  readonly hint: string;
}

/** A product of rows under the leading axes that its result has. */
export function inColumns(context: LoweringContext, result: Value, product: (hint: string) => Product): void {
  const { shape } = result.type;
  const isMatrix = shape.length === 2;
  const { op, inputs, attrs } = product(result.name);
  if (isMatrix) return context.emit(op, inputs, result, attrs);
  const made = context.step(op, inputs, `${result.name}.rows`, { dtype: 'float32', rank: 2 }, attrs);
  context.emit('Reshape', [made, context.sizes.shape(shape, { mayInfer: true })], result, {
    ...typed(made),
    Tshape: INT32,
  });
}

/** x[..., K] as [rows, K]. */
export function rowsOf(context: LoweringContext, x: Value): Operand {
  const tensor = context.tensor(x);
  if (tensor.rank === 2) return tensor;
  return context.shared(`rows of ${tensor.name}`, () =>
    reshaped(context, tensor, context.ints(-1, x.type.shape.at(-1) as number), 2, `${x.name}.rows`),
  );
}

/** tfjs broadcasts one matrix over all of the other's, and nothing between: then the operand is repeated before. */
export function lowerMatmul(context: LoweringContext, node: NodeOf<'matmul'>): void {
  const leading = node.outputs[0]!.type.shape.slice(0, -2);
  const inputs = node.inputs.map((value) => {
    const own = value.type.shape.slice(0, -2);
    const tensor = context.tensor(value);
    const isWhole = own.length === leading.length && own.every((dim, i) => sameDim(dim, leading[i]!));
    if (isWhole || own.every((dim) => dim === 1)) return tensor;
    return context.step(
      'BroadcastTo',
      [tensor, context.sizes.shape([...leading, ...value.type.shape.slice(-2)], { mayInfer: false })],
      `${value.name}.repeated`,
      { dtype: 'float32', rank: leading.length + 2 },
      { ...typed(tensor), Tidx: INT32 },
    );
  });
  context.emit('BatchMatMulV2', inputs, node.outputs[0]!, {
    ...typed(inputs[0]!),
    adj_x: { bool: false },
    adj_y: { bool: false },
  });
}

/** tfjs has channels last, the IR first. */
export function lowerConv2d(context: LoweringContext, node: NodeOf<'conv2d'>): void {
  const name = node.outputs[0]!.name;
  const { pixels, filter } = channelsLast(context, node);
  const { strides, padding } = node.attrs;
  const [above, aside] = padding as readonly [number, number];
  const padded =
    above + aside === 0
      ? pixels
      : context.step(
          'Pad',
          [pixels, context.literal('i32', [4, 2], [0, 0, above, above, aside, aside, 0, 0], `${name}.padding`)],
          `${name}.padded`,
          pixels,
          { ...typed(pixels), Tpaddings: INT32 },
        );
  const product = context.step('Conv2D', [padded, filter], `${name}.product`, pixels, {
    ...typed(pixels),
    ...convolution(strides),
  });
  channelsFirst(context, node, product);
}

/** The whole of what windows of the result get, of which the padding is then cut off. */
export function lowerConvTranspose2d(context: LoweringContext, node: NodeOf<'conv_transpose2d'>): void {
  const name = node.outputs[0]!.name;
  const { pixels, filter } = channelsLast(context, node);
  const { strides, padding } = node.attrs;
  const [above, aside] = padding as readonly [number, number];
  const [batch, channels, height, width] = node.outputs[0]!.type.shape as readonly [Dim, number, number, number];
  const whole = context.sizes.shape([batch, height + 2 * above, width + 2 * aside, channels], { mayInfer: false });
  const sum = context.step('Conv2DBackpropInput', [whole, filter, pixels], `${name}.whole`, pixels, {
    ...typed(pixels),
    ...convolution(strides),
  });
  const product =
    above + aside === 0
      ? sum
      : context.step(
          'Slice',
          [sum, context.ints(0, above, aside, 0), context.ints(-1, height, width, -1)],
          `${name}.product`,
          sum,
          { ...typed(sum), Index: INT32 },
        );
  channelsFirst(context, node, product);
}

/** Pictures [B, H, W, C], and weights with the axes of the window first and the others the other way round. */
function channelsLast(context: LoweringContext, { inputs, outputs }: NodeOf<'conv2d' | 'conv_transpose2d'>) {
  const [x, weight] = inputs as readonly [Value, Value];
  const data = context.weightOf(weight);
  const name = `${weight.name}.transposed`;
  return {
    pixels: transposed(context, context.tensor(x), [0, 2, 3, 1], `${outputs[0]!.name}.channels_last`),
    filter: data
      ? context.floatWeight(transposeData(data, [2, 3, 1, 0]), name)
      : transposed(context, context.tensor(weight), [2, 3, 1, 0], name),
  };
}

/** With the bias, as the IR has it. */
function channelsFirst(
  context: LoweringContext,
  { inputs, outputs }: NodeOf<'conv2d' | 'conv_transpose2d'>,
  product: Operand,
): void {
  const bias = context.tensor(inputs[2]!);
  const sum = context.step('AddV2', [product, bias], `${outputs[0]!.name}.sum`, product, typed(product));
  context.emit('Transpose', [sum, context.ints(0, 3, 1, 2)], outputs[0]!, { ...typed(sum), Tperm: INT32 });
}

function convolution([down, right]: readonly number[]) {
  return {
    strides: { ints: [1, down!, right!, 1] },
    padding: { text: 'VALID' },
    data_format: { text: 'NHWC' },
    dilations: { ints: [1, 1, 1, 1] },
  } as const;
}

/** Rows of a table by ids. */
export function lowerGather(context: LoweringContext, node: NodeOf<'gather'>): void {
  const inputs = node.inputs.map((value) => context.tensor(value));
  context.emit('GatherV2', [...inputs, context.int(0)], node.outputs[0]!, {
    batch_dims: { int: 0 },
    Tindices: INT32,
    Tparams: { type: inputs[0]!.dtype },
    Taxis: INT32,
  });
}
