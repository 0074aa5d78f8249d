import { int, weightFormat } from '../attr.ts';
import { expectType } from '../error.ts';
import { composite } from '../op.ts';
import { printType } from '../type.ts';
import { dequantize } from './dequantize.ts';
import { gather } from './gather.ts';

export const quantizedGather = composite({
  name: 'quantized_gather',
  doc: 'Rows of dequantize(q, scales, zeros)[R, columns] at indices[...]: shape [...indices, columns]. Rows are taken first, so that only they are dequantized.',
  operands: ['q', 'indices', 'scales', 'zeros?'],
  attrs: { format: weightFormat(), columns: int() },
  traits: ['lookup'],
  castPolicy: 'compute',
  infer([q, indices, scales, zeros], attrs) {
    expectType(q!.shape.length === 3, `quantized_gather from ${printType(q!)}: codes are [R, blocks, block]`);
    const [table] = dequantize.infer([q!, scales!, ...(zeros ? [zeros] : [])], attrs);
    return gather.infer([table!, indices!], {});
  },
  decompose: (b, [q, indices, ...rest], attrs) => [
    b.op(
      dequantize,
      [q!, ...rest].map((table) => b.op(gather, [table, indices!], {})),
      attrs,
    ),
  ],
});
