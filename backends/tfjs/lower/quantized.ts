import { formats, middleOf, type FormatName } from '../../../ir/formats/index.ts';
import type { NodeOf, Value } from '../../../ir/graph.ts';
import { elementCount, type TensorData } from '../../../ir/tensor.ts';
import { windowOf } from '../../../ir/views/window.ts';
import { BackendError } from '../../error.ts';
import { INT32, typed } from './attrs.ts';
import { PACKED_OP } from '../known_ops.ts';
import { byteCodes, packedRows, packedZerosData } from './codes.ts';
import type { LoweringContext } from './context.ts';
import type { Operand } from './operand.ts';
import { inColumns, rowsOf, transposeOf } from './products.ts';
import { reshaped } from './shapes.ts';

/** A matrix in blocks of codes, unread. */
interface Blocks {
  readonly format: FormatName;
  readonly q: TensorData;
  readonly scales: TensorData;
  readonly zeros: TensorData | undefined;
  readonly name: string;
}

function blocksOf(
  context: LoweringContext,
  format: FormatName,
  [q, scales, zeros]: readonly [Value, Value, Value?],
): Blocks {
  const weight = (value: Value): TensorData => {
    const data = context.weightOf(value);
    if (!data) throw new BackendError('unsupported', `codes that are computed`, { tensor: value.name });
    return data;
  };
  return {
    format,
    q: weight(q),
    scales: weight(scales),
    zeros: zeros && weight(zeros),
    name: q.name.replace(/\.codes(?=\.\d+$|$)/, ''),
  };
}

/** Whether the packed op reads these codes as they lie: a row is whole words, and scales have one dtype with x. */
function isPackable({ format, q, zeros }: Blocks): boolean {
  const [rows, , block] = q.shape as readonly [number, number, number];
  const perWord = 32 / formats[format].bits;
  return (
    ((q.byteLength * 8) / rows) % 32 === 0 && block % perWord === 0 && (zeros === undefined || zeros.dtype === q.dtype)
  );
}

/**
 * Packed weights stay so; else one scale a row is applied to the product, and other codes are dequantized in the graph.
 */
export function lowerQuantizedLinear(context: LoweringContext, node: NodeOf<'quantized_linear'>): void {
  const [x, ...operands] = node.inputs as readonly [Value, Value, Value, Value?];
  const blocks = blocksOf(context, node.attrs.format, operands);
  const result = node.outputs[0]!;
  const { columns } = node.attrs;
  if (context.packed && isPackable(blocks)) return packedLinear(context, x, blocks, columns, result);
  const rows = rowsOf(context, x);
  const { bits, codebook } = formats[blocks.format];
  const isPerRow =
    blocks.q.shape[1] === 1 && blocks.q.shape[2] === columns && blocks.zeros === undefined && bits === 8 && !codebook;
  const isRows = isPerRow && context.rowsFirst;
  const attrs = { ...typed(rows), transpose_a: { bool: false }, transpose_b: { bool: isRows } };
  if (!isPerRow)
    return inColumns(context, result, () => ({
      op: 'MatMul',
      inputs: [rows, dequantizedColumns(context, blocks, columns)],
      attrs,
      hint: result.name,
    }));
  const bytes = asMatrix(byteCodes(blocks.q).data);
  const matrix = isRows ? bytes : transposeOf(bytes);
  // codes from their zero point on: symmetric
  const codes = context.weight(
    matrix,
    `${blocks.name}.codes`,
    { shape: matrix.shape, dtype: 'float32', data: matrix, quantization: { dtype: 'uint8', scale: 1, min: -128 } },
    blocks.q,
  );
  const scales = context.scaleWeight(flat(blocks.scales), `${blocks.name}.scales`, blocks.scales);
  inColumns(context, result, (hint) => ({
    op: 'Mul',
    inputs: [context.step('MatMul', [rows, codes], `${hint}.codes`, { dtype: 'float32', rank: 2 }, attrs), scales],
    attrs: typed(rows),
    hint,
  }));
}

function packedLinear(
  context: LoweringContext,
  x: Value,
  { format, q, scales, zeros, name }: Blocks,
  columns: number,
  result: Value,
): void {
  const codes = packedRows(q);
  const inputs = [
    context.tensor(x),
    context.weight(codes, `${name}.codes`, { shape: codes.shape, dtype: 'int32', data: codes }, q),
    context.scaleWeight(scales, `${name}.scales`),
  ];
  if (zeros) {
    const words = packedZerosData(zeros);
    inputs.push(context.weight(words, `${name}.zeros`, { shape: words.shape, dtype: 'int32', data: words }, zeros));
  }
  const { bits, codebook } = formats[format];
  context.emit(PACKED_OP, inputs, result, {
    bits: { int: bits },
    group: { int: q.shape[2]! },
    columns: { int: columns },
    ...(codebook && { codebook: { floats: codebook } }),
  });
}

const matrices = new WeakMap<TensorData, TensorData>();

/** Codes [N, blocks, block] of whole bytes as [N, blocks · block]. */
function asMatrix(data: TensorData): TensorData {
  const [rows, ...rest] = data.shape as readonly [number, ...number[]];
  const known = matrices.get(data) ?? { ...data, shape: [rows, elementCount(rest)] };
  matrices.set(data, known);
  return known;
}

const vectors = new WeakMap<TensorData, TensorData>();
function flat(data: TensorData): TensorData {
  const known = vectors.get(data) ?? windowOf(data, 0, [elementCount(data.shape)]);
  vectors.set(data, known);
  return known;
}

/** Codes, a byte each, as the floats that they count. */
function codesOf(context: LoweringContext, q: TensorData, name: string): Operand {
  const { data, min } = byteCodes(q);
  return context.weight(q, name, {
    shape: q.shape,
    dtype: 'float32',
    data,
    quantization: { dtype: 'uint8', scale: 1, min },
  });
}

/** What the matrix means as [N, columns], then as [columns, N]. */
function dequantizedColumns(context: LoweringContext, blocks: Blocks, columns: number): Operand {
  const { format, q, scales, name } = blocks;
  return context.shared(`dequantized ${name}`, () => {
    const operands = {
      format,
      q: codesOf(context, q, `${name}.codes`),
      scales: context.scaleWeight(scales, `${name}.scales`),
      zeros: zeroOperand(context, blocks),
    };
    const table = dequantized(context, operands, { rank: 3, shape: q.shape, columns, name });
    return context.step(
      'Transpose',
      [table, context.ints(1, 0)],
      `${name}.columns_first`,
      { dtype: 'float32', rank: 2 },
      { ...typed(table), Tperm: INT32 },
    );
  });
}

/** Zero points as floats; where there are none, the one of the dtype, which a codebook has no use for. */
function zeroOperand(context: LoweringContext, { format, q, zeros, name }: Blocks): Operand | undefined {
  if (formats[format].codebook) return undefined;
  if (!zeros) return context.literal('f32', [], [middleOf(q.dtype)], 'zero');
  return zeros.dtype.startsWith('f')
    ? context.floatWeight(zeros, `${name}.zeros`)
    : codesOf(context, zeros, `${name}.zeros`);
}

interface Codes {
  readonly format: FormatName;
  readonly q: Operand;
  readonly scales: Operand;
  readonly zeros: Operand | undefined;
}

/**
 * q[..., blocks, block] with scales and zeros [..., blocks] to [..., columns]; `shape` is q's, -1 for what is not
 * known.
 */
function dequantized(
  context: LoweringContext,
  { format, q, scales, zeros }: Codes,
  {
    rank,
    shape,
    columns,
    name,
  }: { readonly rank: number; readonly shape: readonly number[]; readonly columns: number; readonly name: string },
): Operand {
  const float = { dtype: 'float32', rank } as const;
  const perBlock = (operand: Operand): Operand =>
    operand.rank === 0
      ? operand
      : context.step('ExpandDims', [operand, context.int(-1)], `${operand.name}.per_block`, float, {
          ...typed(operand),
          Tdim: INT32,
        });
  const centred = zeros
    ? context.step('Sub', [q, perBlock(zeros)], `${name}.centred`, float, typed(q))
    : levelsOf(context, format, q, name);
  const values = context.step('Mul', [centred, perBlock(scales)], `${name}.values`, float, typed(q));
  const [blocks, block] = shape.slice(-2) as [number, number];
  const whole = reshaped(
    context,
    values,
    context.ints(...shape.slice(0, -2), blocks * block),
    rank - 1,
    `${name}.joined`,
  );
  if (columns === blocks * block) return whole;
  const at = (last: number, rest: number) =>
    context.ints(...Array.from({ length: rank - 1 }, (_, i) => (i === rank - 2 ? last : rest)));
  return context.step(
    'Slice',
    [whole, at(0, 0), at(columns, -1)],
    `${name}.columns`,
    { dtype: 'float32', rank: rank - 1 },
    { ...typed(whole), Index: INT32 },
  );
}

/** What codes of a codebook mean before they are scaled. */
function levelsOf(context: LoweringContext, format: FormatName, q: Operand, name: string): Operand {
  const codebook = formats[format].codebook!;
  const levels = context.literal('f32', [codebook.length], codebook, `${format}.levels`);
  const indices = context.step(
    'Cast',
    [q],
    `${name}.indices`,
    { dtype: 'int32', rank: q.rank },
    { SrcT: { type: 'float32' }, DstT: INT32, Truncate: { bool: false } },
  );
  return context.step(
    'GatherV2',
    [levels, indices, context.int(0)],
    `${name}.levels`,
    { dtype: 'float32', rank: q.rank },
    { batch_dims: { int: 0 }, Tindices: INT32, Tparams: { type: 'float32' }, Taxis: INT32 },
  );
}

/** What codes mean, in ops that tfjs has. */
export function lowerDequantize(context: LoweringContext, node: NodeOf<'dequantize'>): void {
  const { format, columns } = node.attrs;
  const blocks = blocksOf(context, format, node.inputs as readonly [Value, Value, Value?]);
  const { q, scales, name } = blocks;
  const operands = {
    format,
    q: codesOf(context, q, `${name}.codes`),
    scales: context.scaleWeight(scales, `${name}.scales`),
    zeros: zeroOperand(context, blocks),
  };
  context.alias(
    node.outputs[0]!,
    dequantized(context, operands, { rank: q.shape.length, shape: q.shape, columns, name }),
  );
}

/** Rows first, so that only they are dequantized. */
export function lowerQuantizedGather(context: LoweringContext, node: NodeOf<'quantized_gather'>): void {
  const [q, ids, ...rest] = node.inputs as readonly [Value, Value, Value, Value?];
  const { format } = node.attrs;
  const blocks = blocksOf(context, format, [q, ...rest]);
  const result = node.outputs[0]!;
  const indices = context.tensor(ids);
  const flatIds = indices.rank === 1 ? indices : reshaped(context, indices, context.ints(-1), 1, `${result.name}.ids`);
  const rows = (table: Operand): Operand =>
    table.rank === 0
      ? table
      : context.step(
          'GatherV2',
          [table, flatIds, context.int(0)],
          `${result.name}.rows`,
          { dtype: 'float32', rank: table.rank },
          { batch_dims: { int: 0 }, Tindices: INT32, Tparams: { type: 'float32' }, Taxis: INT32 },
        );
  const zeros = zeroOperand(context, blocks);
  const operands = {
    format,
    q: rows(codesOf(context, blocks.q, `${blocks.name}.codes`)),
    scales: rows(context.scaleWeight(blocks.scales, `${blocks.name}.scales`)),
    zeros: zeros && rows(zeros),
  };
  const made = dequantized(context, operands, {
    rank: 3,
    shape: [-1, ...blocks.q.shape.slice(1)],
    columns: node.attrs.columns,
    name: result.name,
  });
  context.emit('Reshape', [made, context.sizes.shape(result.type.shape, { mayInfer: true })], result, {
    ...typed(made),
    Tshape: INT32,
  });
}
