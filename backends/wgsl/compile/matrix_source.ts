import type { Value } from '../../../ir/graph.ts';
import { hasTrait, type NodeWith } from '../../../ir/ops/traits.ts';
import type { TensorData } from '../../../ir/tensor.ts';
import { castData } from '../../../ir/views/cast.ts';
import { contentKey, rowsBeforeFill } from '../../../ir/views/content.ts';
import { dequantizedData, type Quantized } from '../../../ir/views/dequantize.ts';
import { sliceRows } from '../../../ir/views/select.ts';
import { formName, type MatrixForm } from '../kernels/matrix_form.ts';
import type { ConstantValue } from './constants.ts';
import { formOf, type MatrixParts } from './pack_matrix.ts';

/** A matrix of the graph, and how it is to lie on the device. */
export interface MatrixSource {
  readonly name: string;
  readonly form: MatrixForm;
  readonly rows: number;
  readonly columns: number;
  readonly parts: MatrixParts;
  /** Equal for equal bytes. */
  readonly key: string;
}

/** The operand of a linear layer or a table of rows: f16 as it is, every other dtype as f32. */
export function floatMatrix(
  name: string,
  { data, stored }: ConstantValue,
  shape: readonly [number, number],
): MatrixSource {
  const isHalf = stored.dtype === 'f16';
  return source(name, isHalf ? { kind: 'f16' } : { kind: 'f32' }, shape, {
    kind: 'float',
    data: isHalf ? stored : castData(data, 'f32'),
  });
}

/**
 * Codes in blocks of a multiple of 32 columns, or of one block a row; what no kernel reads is dequantized when it is
 * written.
 */
export function codedMatrix(name: string, codes: Quantized<TensorData>, columns: number): MatrixSource {
  const [rows] = codes.q.shape as readonly [number];
  const form = formOf(codes);
  if (!form) {
    const data = castData(dequantizedData(codes, [rows, columns]), 'f32');
    return source(name, { kind: 'f32' }, [rows, columns], { kind: 'float', data });
  }
  return source(name, form, [rows, columns], { kind: 'codes', ...codes });
}

/** Rows [first, first + count) of a matrix. */
export function rowsOf({ name, form, columns, parts }: MatrixSource, first: number, count: number): MatrixSource {
  const cut = (data: TensorData) => sliceRows(data, first, first + count);
  const rows =
    parts.kind === 'float'
      ? { ...parts, data: cut(parts.data) }
      : { ...parts, q: cut(parts.q), scales: cut(parts.scales), ...(parts.zeros && { zeros: cut(parts.zeros) }) };
  return source(name, form, [count, columns], rows);
}

/** The rows of a table, and those of zeros that fill it up: a head has the first alone. */
export function zeroRowsApart(matrix: MatrixSource): readonly MatrixSource[] {
  const rows = rowsBeforeFill(matrix.parts.kind === 'float' ? matrix.parts.data : matrix.parts.scales);
  return rows === matrix.rows ? [matrix] : [rowsOf(matrix, 0, rows), rowsOf(matrix, rows, matrix.rows - rows)];
}

/** Whether two matrices lie alike, so that one text reads both. */
export function sameForm(a: MatrixForm, b: MatrixForm): boolean {
  return formName(a) === formName(b);
}

/** What a node takes a matrix from, when all of it is constant. */
export function matrixOf(
  node: NodeWith<'linear' | 'lookup'>,
  constantOf: (value: Value) => ConstantValue | undefined,
): MatrixSource | undefined {
  const operand = hasTrait(node.op, 'linear') ? 1 : 0;
  const value = node.inputs[operand]!;
  const constant = constantOf(value);
  if (!constant) return undefined;
  if (node.op === 'quantized_linear' || node.op === 'quantized_gather') {
    const [scales, zeros] = node.inputs.slice(2).map((input) => constantOf(input)?.data);
    if (!scales || (node.inputs.length > 3 && !zeros)) return undefined;
    const { format, columns } = node.attrs;
    return codedMatrix(value.name, { format, q: constant.data, scales, ...(zeros && { zeros }) }, columns);
  }
  return value.type.shape.length === 2
    ? floatMatrix(value.name, constant, value.type.shape as [number, number])
    : undefined;
}

function source(
  name: string,
  form: MatrixForm,
  [rows, columns]: readonly [number, number],
  parts: MatrixParts,
): MatrixSource {
  const data = parts.kind === 'float' ? [parts.data] : [parts.q, parts.scales, ...(parts.zeros ? [parts.zeros] : [])];
  return {
    name,
    form,
    rows,
    columns,
    parts,
    key: `${JSON.stringify(form)} ${columns} ${data.map(contentKey).join(' ')}`,
  };
}
