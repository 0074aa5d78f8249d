import { int } from '../attr.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { elementCount } from '../tensor.ts';
import { printType, tensorType } from '../type.ts';

export const slice = primitive({
  name: 'slice',
  doc: 'Entries [begin, end) along an axis of known size.',
  operands: ['x'],
  attrs: { axis: int(), begin: int(), end: int() },
  traits: ['movement'],
  castPolicy: 'follow any operand',
  infer([x], { axis, begin, end }) {
    const size = x!.shape[axis];
    expectType(
      typeof size === 'number' && begin >= 0 && begin <= end && end <= size,
      `slice of ${printType(x!)}: ${begin}..${end} along ${axis}`,
    );
    return [
      tensorType(
        x!.dtype,
        x!.shape.map((d, i) => (i === axis ? end - begin : d)),
      ),
    ];
  },
  evaluate([x], { axis, begin, end }) {
    const shape = x!.shape.map((d, i) => (i === axis ? end - begin : d));
    const inner = elementCount(x!.shape.slice(axis + 1));
    const outer = elementCount(x!.shape.slice(0, axis));
    const data = new Float64Array(elementCount(shape));
    for (let o = 0; o < outer; o++) {
      const start = o * x!.shape[axis]! * inner;
      data.set(x!.data.subarray(start + begin * inner, start + end * inner), o * (end - begin) * inner);
    }
    return [{ shape, data }];
  },
});
