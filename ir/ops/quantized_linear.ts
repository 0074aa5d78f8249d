import { int, weightFormat } from '../attr.ts';
import { expectType } from '../error.ts';
import { composite } from '../op.ts';
import { printType } from '../type.ts';
import { dequantize } from './dequantize.ts';
import { linear } from './linear.ts';

export const quantizedLinear = composite({
  name: 'quantized_linear',
  doc: 'x[..., columns] · dequantize(q, scales, zeros)[N, columns]ᵀ: a linear layer without bias, its weight in blocks q[N, blocks, block].',
  operands: ['x', 'q', 'scales', 'zeros?'],
  attrs: { format: weightFormat(), columns: int() },
  traits: ['linear'],
  castPolicy: 'compute',
  infer([x, q, scales, zeros], attrs) {
    expectType(q!.shape.length === 3, `quantized_linear by ${printType(q!)}: codes are [N, blocks, block]`);
    const [weight] = dequantize.infer([q!, scales!, ...(zeros ? [zeros] : [])], attrs);
    return linear.infer([x!, weight!], {});
  },
  decompose: (b, [x, ...weight], attrs) => [b.op(linear, [x!, b.op(dequantize, weight, attrs)], {})],
});
