import type { NodeOf, Value } from '../../../ir/graph.ts';
import { mappedBytes, packedRows, reinterpretedData, repeatedColumns } from '../../../ir/views/bytes.ts';
import { zeroData } from '../../../ir/views/concat.ts';
import { interleaveRows } from '../../../ir/views/interleave_rows.ts';
import { mapData } from '../../../ir/views/map.ts';
import { nibbleRows } from '../../../ir/views/nibble_rows.ts';
import { memoView } from '../../../ir/views/memo.ts';
import { reshapeData } from '../../../ir/views/select.ts';
import type { EmitOptions } from '../../backend.ts';
import type { Lowering } from '../../lowering.ts';
import type { LoweringContext } from './context.ts';
import { firstColumns, lowerDequantize, lowerDequantizedGather, lowerDequantizedLinear } from './quantized_qdq.ts';
import { changed, quantizedWeight, signed, unsigned, type QuantizedWeight, type Stored } from './quantized_weight.ts';

/**
 * `nbits` is ONNX Runtime's contrib ops MatMulNBits and GatherBlockQuantized; `qdq` ONNX's own DequantizeLinear before
 * Gemm, and arithmetic behind Gather. Accuracy level 4 costs parity: error 2e-2 against 1e-6.
 */
export interface QuantizedOptions extends Pick<EmitOptions, 'quantizedOps' | 'accuracyLevel'> {
  /** Products of 8-bit codes as products of 4 bits: see `halvesOf`. */
  readonly halves?: boolean;
}

type QuantizedRules = Pick<Required<Lowering<LoweringContext>>, 'dequantize' | 'quantized_gather' | 'quantized_linear'>;

/** Rules for the ops over weights in blocks. */
export function quantizedRules({
  quantizedOps = 'nbits',
  accuracyLevel = 0,
  halves = false,
}: QuantizedOptions): QuantizedRules {
  if (quantizedOps === 'qdq')
    return {
      dequantize: lowerDequantize,
      quantized_gather: lowerDequantizedGather,
      quantized_linear: lowerDequantizedLinear,
    };
  return {
    dequantize: lowerDequantize,
    quantized_gather: lowerGather,
    quantized_linear: (context, node) => lowerLinear(context, node, { accuracyLevel, halves }),
  };
}

/** The blocks that ONNX Runtime's kernels read, the widest first. */
const KERNEL_BLOCKS: readonly number[] = [256, 128, 64, 32, 16];

/**
 * The weight as the kernels read it: unsigned codes with the zero in the middle of the range. A scale for a whole row
 * becomes the same scale for each of the widest blocks that fill the row. Undefined when no block of the kernels does.
 */
function inKernelBlocks(weight: QuantizedWeight): QuantizedWeight | undefined {
  const { rows, blocks, block, bits, scales } = weight;
  const q = unsigned(weight.q);
  if (KERNEL_BLOCKS.includes(block)) return { ...weight, q, ...(weight.zeros && { zeros: unsigned(weight.zeros) }) };
  const width = KERNEL_BLOCKS.find((size) => block % size === 0);
  if (blocks !== 1 || width === undefined || weight.zeros) return undefined;
  const count = block / width;
  return {
    bits,
    rows,
    blocks: count,
    block: width,
    q,
    scales: changed(scales, `times ${count}`, (data) => repeatedColumns(data, count)),
  };
}

/**
 * MatMulNBits: codes u8[N, blocks, bytes of a block], scales of the activations' dtype, 4-bit zero points in bytes of
 * each row's own.
 */
function lowerLinear(
  context: LoweringContext,
  node: NodeOf<'quantized_linear'>,
  { accuracyLevel, halves }: Required<Pick<QuantizedOptions, 'accuracyLevel' | 'halves'>>,
): void {
  const [x, q, scales, zeros] = node.inputs as readonly [Value, Value, Value, Value?];
  const weight = inKernelBlocks(quantizedWeight(context, node.attrs.format, q, scales, zeros));
  const y = node.outputs[0]!;
  if (!weight) return lowerDequantizedLinear(context, node);
  if (halves && accuracyLevel === 0 && weight.bits === 8 && weight.scales.data.dtype === 'f32') {
    const both = halvesOf(weight);
    const products = context.step(
      'MatMulNBits',
      product(context, x, both),
      `${y.name}.halves`,
      productAttributes(node, both),
      'com.microsoft',
    );
    const leading = Array.from({ length: x.type.shape.length - 1 }, () => 0);
    const pairs = context.step('Reshape', [products, context.ints(...leading, weight.rows, 2)], `${y.name}.pairs`);
    return context.emit('ReduceSum', [pairs, context.ints(-1)], y, { keepdims: 0 });
  }
  context.emit(
    'MatMulNBits',
    product(context, x, weight),
    y,
    { ...productAttributes(node, weight), ...(accuracyLevel !== 0 && { accuracy_level: accuracyLevel }) },
    'com.microsoft',
  );
}

function product(
  context: LoweringContext,
  x: Value,
  { bits, rows, blocks, block, ...weight }: QuantizedWeight,
): string[] {
  const codes = changed(weight.q, `bytes in blocks of ${block}`, (data) =>
    reinterpretedData(data, 'u8', [rows, blocks, (block * bits) / 8]),
  );
  const points = weight.zeros && bits === 4 ? changed(weight.zeros, 'packed rows', packedRows) : weight.zeros;
  return [context.tensor(x), ...stored(context, codes, weight.scales, points)];
}

const productAttributes = (node: NodeOf<'quantized_linear'>, { rows, bits, block }: QuantizedWeight) => ({
  K: node.attrs.columns,
  N: rows,
  bits,
  block_size: block,
});

/**
 * 8-bit codes as 4-bit codes of twice as many rows, high halves and low halves by turns, whose products add up to
 * theirs in pairs: with u = 16 · high + low and z likewise, (u − z) · s = (high − zHigh) · 16 s + (low − zLow) · s,
 * without a rounding. onnxruntime 1.30 has no fast kernel of 8 bits on the CPU (it widens the matrix to f32 for every
 * product), and one of 4 bits: `npm run bench -- --only products`. By turns, so that codes are made once.
 */
function halvesOf({ rows, q, scales, zeros, ...weight }: QuantizedWeight): QuantizedWeight {
  const points =
    zeros?.data ?? memoView(scales.data, 'middles', ({ shape }) => mappedBytes(zeroData('u8', shape), 'u8', () => 128));
  return {
    ...weight,
    bits: 4,
    rows: 2 * rows,
    q: changed(q, 'halves', nibbleRows),
    scales: changed(scales, 'of halves', (data) =>
      interleaveRows(
        mapData(data, (scale) => 16 * scale),
        data,
      ),
    ),
    zeros: changed({ name: zeros?.name ?? `${q.name}.zeros`, data: points }, 'halves', nibbleRows),
  };
}

/**
 * GatherBlockQuantized: codes [R, elements], zero points [R, blocks], both of 4-bit elements where they have 4 bits: as
 * bytes the CPU and the WebGPU kernel take zero points in different shapes. Codes with a sign need none, and whole
 * blocks come out.
 */
function lowerGather(context: LoweringContext, node: NodeOf<'quantized_gather'>): void {
  const [q, indices, scales, zeros] = node.inputs as readonly [Value, Value, Value, Value?];
  const result = node.outputs[0]!;
  const table = inKernelBlocks(quantizedWeight(context, node.attrs.format, q, scales, zeros));
  if (!table) return lowerDequantizedGather(context, node);
  const { bits, rows, blocks, block } = table;
  const codes = changed(bits === 4 && !table.zeros ? signed(table.q) : table.q, 'rows', (data) =>
    reshapeData(data, [rows, blocks * block]),
  );
  const [first, ...rest] = stored(context, codes, table.scales, table.zeros);
  const operands = [first!, context.tensor(indices), ...rest];
  const attributes = { bits, block_size: block, gather_axis: 0, quantize_axis: 1 };
  if (node.attrs.columns === blocks * block)
    return context.emit('GatherBlockQuantized', operands, result, attributes, 'com.microsoft');
  const whole = context.step('GatherBlockQuantized', operands, `${result.name}.blocks`, attributes, 'com.microsoft');
  context.emit('Identity', [firstColumns(context, whole, node.attrs.columns, result.name)], result);
}

function stored(context: LoweringContext, ...parts: readonly (Stored | undefined)[]): string[] {
  return parts.flatMap((part) => (part ? [context.weight(part.data, part.name)] : []));
}
