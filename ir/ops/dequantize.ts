import { int, weightFormat } from '../attr.ts';
import { dtypes, isFloat } from '../dtypes/index.ts';
import { expectType } from '../error.ts';
import { formats } from '../formats/index.ts';
import { primitive } from '../op.ts';
import { elementCount } from '../tensor.ts';
import { printType, sameShape, tensorType } from '../type.ts';
import { dequantizedData, dequantizedValues } from '../views/dequantize.ts';

export const dequantize = primitive({
  name: 'dequantize',
  doc: 'What codes of a format (ir/formats) mean, in blocks of a row with a scale each: q[..., blocks, block], scales and zeros[..., blocks] to [..., columns]; what fills the last block up is dropped. Affine codes: (q - zero) · scale, zeros being codes like q, or floats like the scales; without zeros 0 for signed q, 2^(bits - 1) for unsigned. Codes of a codebook: codebook[q] · scale. Blocks over a whole matrix [N, K] are those of one row of N · K, reshaped after.',
  operands: ['q', 'scales', 'zeros?'],
  attrs: { format: weightFormat(), columns: int() },
  traits: [],
  castPolicy: 'compute',
  infer([q, scales, zeros], { format, columns }) {
    const all = [q!, scales!, ...(zeros ? [zeros] : [])];
    const [blocks, block] = q!.shape.slice(-2);
    const { codes, codebook } = formats[format];
    const typed =
      codes.includes(q!.dtype) &&
      isFloat(scales!.dtype) &&
      (!zeros || (!codebook && (zeros.dtype === q!.dtype || zeros.dtype === scales!.dtype)));
    const shaped =
      typeof blocks === 'number' &&
      typeof block === 'number' &&
      all.slice(1).every((t) => sameShape(t.shape, q!.shape.slice(0, -1)));
    expectType(typed && shaped, `dequantize of ${all.map(printType).join(', ')} as ${format}`);
    expectType(
      columns > (blocks - 1) * block && columns <= blocks * block,
      `dequantize of ${printType(q!)} to ${columns} columns: ${blocks} blocks of ${block} do not hold just these`,
    );
    expectType((block * dtypes[q!.dtype].bits) % 8 === 0, `dequantize of ${printType(q!)}: a block ends within a byte`);
    return [tensorType(scales!.dtype, [...q!.shape.slice(0, -2), columns])];
  },
  evaluate([q, scales, zeros], { format, columns }) {
    const shape = [...q!.shape.slice(0, -2), columns];
    const [blocks, block] = q!.shape.slice(-2) as [number, number];
    const data = new Float64Array(elementCount(shape));
    dequantizedValues(
      { format, q: q!, scales: scales!, ...(zeros && { zeros }) },
      { first: 0, count: elementCount(scales!.shape), blocks, block, columns },
      data,
    );
    return [{ shape, data }];
  },
  lazily: ([q, scales, zeros], { format, columns }) =>
    dequantizedData({ format, q: q!, scales: scales!, ...(zeros && { zeros }) }, [...q!.shape.slice(0, -2), columns]),
});
