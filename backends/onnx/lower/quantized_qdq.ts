import type { DType } from '../../../ir/dtypes/index.ts';
import type { NodeOf, Value } from '../../../ir/graph.ts';
import { reinterpretedData } from '../../../ir/views/bytes.ts';
import { castData } from '../../../ir/views/cast.ts';
import { reshapeData } from '../../../ir/views/select.ts';
import { elementTypes } from '../dtype.ts';
import type { LoweringContext } from './context.ts';
import { multiplyByRows } from './products.ts';
import { changed, middleOf, quantizedWeight, signed, unsigned, type QuantizedWeight } from './quantized_weight.ts';

/*
 * Weights in blocks by ONNX's own ops. A product dequantizes its weight by DequantizeLinear-21, blocked or, with a
 * scale a row, per axis. A table is not dequantized whole at every step: rows are gathered first, then scaled by plain
 * arithmetic.
 */

/** (q − zero) · scale by ONNX’s own DequantizeLinear. */
export function lowerDequantize(context: LoweringContext, node: NodeOf<'dequantize'>): void {
  const [q, scales, zeros] = node.inputs as readonly [Value, Value, Value?];
  const result = node.outputs[0]!;
  context.emit(
    'Identity',
    [
      dequantizedMatrix(
        context,
        quantizedWeight(context, node.attrs.format, q, scales, zeros),
        node.attrs.columns,
        `${result.name}.matrix`,
      ),
    ],
    result,
  );
}

/** Gemm by the transposed rows: the matrix is not moved. */
export function lowerDequantizedLinear(context: LoweringContext, node: NodeOf<'quantized_linear'>): void {
  const [x, q, scales, zeros] = node.inputs as readonly [Value, Value, Value, Value?];
  const matrix = dequantizedMatrix(
    context,
    quantizedWeight(context, node.attrs.format, q, scales, zeros),
    node.attrs.columns,
    `${q.name}.dequantized`,
  );
  multiplyByRows(context, x, matrix, undefined, node.outputs[0]!);
}

/** [N, columns]. Codes without a zero point get their sign back: DequantizeLinear takes 0 then. */
function dequantizedMatrix(context: LoweringContext, weight: QuantizedWeight, columns: number, hint: string): string {
  const { rows, blocks, block, scales, zeros } = weight;
  const q = changed(zeros ? weight.q : signed(weight.q), 'matrix', (data) => reshapeData(data, [rows, blocks * block]));
  const perRow = (data: typeof scales) =>
    blocks === 1 ? changed(data, 'vector', (d) => reshapeData(d, [rows])) : data;
  const operands = [q, perRow(scales), ...(zeros ? [perRow(zeros)] : [])].map(({ name, data }) =>
    context.weight(data, name),
  );
  const matrix = context.step(
    'DequantizeLinear',
    operands,
    hint,
    blocks === 1 ? { axis: 0 } : { axis: 1, block_size: block },
  );
  return columns === blocks * block ? matrix : firstColumns(context, matrix, columns, hint);
}

/**
 * Rows of codes, scales and zero points. ONNX Runtime gathers no 4-bit elements: they come as bytes and are parted
 * then.
 */
export function lowerDequantizedGather(context: LoweringContext, node: NodeOf<'quantized_gather'>): void {
  const [q, indices, scales, zeros] = node.inputs as readonly [Value, Value, Value, Value?];
  const result = node.outputs[0]!;
  const { dtype } = result.type;
  const table = quantizedWeight(context, node.attrs.format, q, scales, zeros);
  const { bits, rows, blocks, block } = table;
  const lead = indices.type.shape.map(() => 0); // Reshape keeps these axes
  const gathered = (stored: typeof table.q, part: string) =>
    context.step(
      'Gather',
      [context.weight(stored.data, stored.name), context.tensor(indices)],
      `${result.name}.${part}`,
      { axis: 0 },
    );
  const toFloat = (tensor: string, part: string) =>
    context.step('Cast', [tensor], `${result.name}.${part}`, { to: elementTypes[dtype] });
  const reshaped = (tensor: string, shape: readonly number[], part: string) =>
    context.step('Reshape', [tensor, context.ints(...lead, ...shape)], `${result.name}.${part}`);

  const bytes = changed(unsigned(table.q), 'table of bytes', (data) =>
    reinterpretedData(data, 'u8', [rows, (blocks * block * bits) / 8]),
  );
  const numbers = toFloat(gathered(bytes, 'bytes'), 'numbers');
  const codes = reshaped(
    bits === 8 ? numbers : partedNibbles(context, numbers, dtype, result.name),
    [blocks, block],
    'codes',
  );
  const points = table.zeros && changed(unsigned(table.zeros), 'whole bytes', (data) => castData(data, 'u8'));
  const zero = points
    ? reshaped(toFloat(gathered(points, 'points'), 'zeros'), [blocks, 1], 'zero')
    : context.literal(dtype, [], [middleOf(bits)]);
  const scale = reshaped(gathered(table.scales, 'scales'), [blocks, 1], 'scale');
  const centred = context.step('Sub', [codes, zero], `${result.name}.centred`);
  const whole = reshaped(context.step('Mul', [centred, scale], `${result.name}.blocks`), [blocks * block], 'row');
  const { columns } = node.attrs;
  context.emit(
    'Identity',
    [columns === blocks * block ? whole : firstColumns(context, whole, columns, result.name)],
    result,
  );
}

/** [..., bytes] as numbers to [..., bytes, 2]: the low half of each, then the high one. */
function partedNibbles(context: LoweringContext, bytes: string, dtype: DType, hint: string): string {
  const scalar = (value: number) => context.literal(dtype, [], [value]);
  const high = context.step(
    'Floor',
    [context.step('Mul', [bytes, scalar(1 / 16)], `${hint}.sixteenths`)],
    `${hint}.high`,
  );
  const low = context.step('Sub', [bytes, context.step('Mul', [high, scalar(16)], `${hint}.sixteens`)], `${hint}.low`);
  const column = (tensor: string, part: string) =>
    context.step('Unsqueeze', [tensor, context.ints(-1)], `${hint}.${part}`);
  return context.step('Concat', [column(low, 'lows'), column(high, 'highs')], `${hint}.nibbles`, { axis: -1 });
}

/** The first columns of [..., more]. */
export function firstColumns(context: LoweringContext, tensor: string, columns: number, hint: string): string {
  return context.step('Slice', [tensor, context.ints(0), context.ints(columns), context.ints(-1)], `${hint}.columns`);
}
