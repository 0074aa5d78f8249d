import { int } from '../attr.ts';
import { dtypes, isFloat, type DType } from '../dtypes/index.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { elementCount } from '../tensor.ts';
import { printType, sameShape, tensorType } from '../type.ts';
import { dequantizedData, dequantizeRows } from '../views/dequantize.ts';

/** The dtypes that hold codes of weights. */
const CODES: ReadonlySet<DType> = new Set<DType>(['u4', 'i4', 'u8', 'i8']);

export const dequantize = primitive({
  name: 'dequantize',
  doc: '(q - zero) · scale with one scale and one zero point for each block of a row: q[..., blocks, block], scales and zeros[..., blocks] to [..., columns]; what fills the last block up is dropped. Zeros are codes like q, or floats like the scales. Without zeros: 0 for signed q, 2^(bits - 1) for unsigned.',
  operands: ['q', 'scales', 'zeros?'],
  attrs: { columns: int() },
  traits: [],
  castPolicy: 'compute',
  infer([q, scales, zeros], { columns }) {
    const all = [q!, scales!, ...(zeros ? [zeros] : [])];
    const [blocks, block] = q!.shape.slice(-2);
    const typed =
      CODES.has(q!.dtype) &&
      isFloat(scales!.dtype) &&
      (!zeros || zeros.dtype === q!.dtype || zeros.dtype === scales!.dtype);
    const shaped =
      typeof blocks === 'number' &&
      typeof block === 'number' &&
      all.slice(1).every((t) => sameShape(t.shape, q!.shape.slice(0, -1)));
    expectType(typed && shaped, `dequantize of ${all.map(printType).join(', ')}`);
    expectType(
      columns > (blocks - 1) * block && columns <= blocks * block,
      `dequantize of ${printType(q!)} to ${columns} columns: ${blocks} blocks of ${block} do not hold just these`,
    );
    expectType((block * dtypes[q!.dtype].bits) % 8 === 0, `dequantize of ${printType(q!)}: a block ends within a byte`);
    return [tensorType(scales!.dtype, [...q!.shape.slice(0, -2), columns])];
  },
  evaluate([q, scales, zeros], { columns }) {
    const shape = [...q!.shape.slice(0, -2), columns];
    const [blocks, block] = q!.shape.slice(-2) as [number, number];
    const data = new Float64Array(elementCount(shape));
    dequantizeRows(
      { q: q!, scales: scales!, ...(zeros && { zeros }) },
      { rows: elementCount(shape.slice(0, -1)), blocks, block, columns },
      data,
    );
    return [{ shape, data }];
  },
  lazily: ([q, scales, zeros], { columns }) =>
    dequantizedData({ q: q!, scales: scales!, ...(zeros && { zeros }) }, columns),
});
