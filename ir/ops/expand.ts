import { dims } from '../attr.ts';
import { broadcastOffsets, broadcastShapes } from '../broadcast.ts';
import { evaluateDim } from '../dim.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { elementCount } from '../tensor.ts';
import { printShape, printType, sameShape, tensorType } from '../type.ts';

export const expand = primitive({
  name: 'expand',
  doc: 'Broadcast to a larger shape.',
  operands: ['x'],
  attrs: { shape: dims() },
  traits: ['movement'],
  castPolicy: 'follow any operand',
  infer([x], { shape }) {
    expectType(
      sameShape(broadcastShapes([x!.shape, shape]), shape),
      `expand of ${printType(x!)} to ${printShape(shape)}`,
    );
    return [tensorType(x!.dtype, shape)];
  },
  evaluate([x], attrs, bindings) {
    const shape = attrs.shape.map((d) => evaluateDim(d, bindings));
    const offsets = broadcastOffsets(x!.shape, shape);
    if (!offsets) return [{ shape, data: x!.data }];
    const data = new Float64Array(elementCount(shape));
    for (let i = 0; i < data.length; i++) data[i] = x!.data[offsets[i]!]!;
    return [{ shape, data }];
  },
});
