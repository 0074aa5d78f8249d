import { IrError, expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { elementCount, readRows, type Tensor } from '../tensor.ts';
import { printType, tensorType } from '../type.ts';

function checkIndices(ids: Tensor, rows: number): void {
  const bad = ids.data.findIndex((id) => id < 0 || id >= rows);
  if (bad >= 0) throw new IrError(`gather: index ${ids.data[bad]} of a table of ${rows} rows`);
}

export const gather = primitive({
  name: 'gather',
  doc: 'Rows of table[R, ...] at indices[...]: shape [...indices, ...row].',
  operands: ['table', 'indices'],
  attrs: {},
  traits: ['movement', 'lookup'],
  castPolicy: 'compute',
  infer([table, indices]) {
    expectType(
      table!.shape.length >= 1 && (indices!.dtype === 'i64' || indices!.dtype === 'i32'),
      `gather of ${printType(table!)} at ${printType(indices!)}`,
    );
    return [tensorType(table!.dtype, [...indices!.shape, ...table!.shape.slice(1)])];
  },
  evaluate([table, indices]) {
    checkIndices(indices!, table!.shape[0]!);
    const row = elementCount(table!.shape.slice(1));
    const data = new Float64Array(indices!.data.length * row);
    indices!.data.forEach((id, i) => data.set(table!.data.subarray(id * row, (id + 1) * row), i * row));
    return [{ shape: [...indices!.shape, ...table!.shape.slice(1)], data }];
  },
  streamedOperand: 0,
  async evaluateStreamed([indices], table) {
    checkIndices(indices!, table.shape[0]!);
    const row = elementCount(table.shape.slice(1));
    const data = new Float64Array(indices!.data.length * row);
    const read = new Map<number, Tensor>();
    for (const [i, id] of indices!.data.entries()) {
      const cached = read.get(id) ?? (await readRows(table, id, id + 1));
      read.set(id, cached);
      data.set(cached.data, i * row);
    }
    return [{ shape: [...indices!.shape, ...table.shape.slice(1)], data }];
  },
});
