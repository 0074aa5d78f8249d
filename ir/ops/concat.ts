import { int } from '../attr.ts';
import { addDims, sameDim } from '../dim.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { elementCount } from '../tensor.ts';
import { printType, tensorType } from '../type.ts';

export const concat = primitive({
  name: 'concat',
  doc: 'Operands joined along one axis; the others are equal.',
  operands: ['x...'],
  attrs: { axis: int() },
  traits: ['movement'],
  castPolicy: 'follow any operand',
  infer(inputs, { axis }) {
    const [first] = inputs;
    const fits = inputs.every(
      (t) =>
        t.dtype === first!.dtype &&
        t.shape.length === first!.shape.length &&
        t.shape.every((d, i) => i === axis || sameDim(d, first!.shape[i]!)),
    );
    expectType(
      fits && axis >= 0 && axis < first!.shape.length,
      `concat of ${inputs.map(printType).join(', ')} along ${axis}`,
    );
    const joined = inputs.map((t) => t.shape[axis]!).reduce(addDims);
    return [
      tensorType(
        first!.dtype,
        first!.shape.map((d, i) => (i === axis ? joined : d)),
      ),
    ];
  },
  evaluate(inputs, { axis }) {
    const shape = inputs[0]!.shape.map((d, i) => (i === axis ? inputs.reduce((sum, t) => sum + t.shape[axis]!, 0) : d));
    const outer = elementCount(shape.slice(0, axis));
    const data = new Float64Array(elementCount(shape));
    let at = 0;
    for (let o = 0; o < outer; o++)
      for (const t of inputs) {
        const block = elementCount(t.shape.slice(axis));
        data.set(t.data.subarray(o * block, (o + 1) * block), at);
        at += block;
      }
    return [{ shape, data }];
  },
});
