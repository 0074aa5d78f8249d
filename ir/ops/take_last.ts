import { dim, int } from '../attr.ts';
import { sameDim, sym, symbolsOf } from '../dim.ts';
import { IrError, expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { elementCount } from '../tensor.ts';
import { printType, tensorType } from '../type.ts';

export const takeLast = primitive({
  name: 'take_last',
  doc: 'The last `count` (an i64 scalar) entries along an axis, all of them when count is 0; the result’s size there is the new symbol `kept`.',
  operands: ['x', 'count'],
  attrs: { axis: int(), kept: dim() },
  traits: ['movement'],
  castPolicy: 'follow any operand',
  infer([x, count], { axis, kept }) {
    const fits = count!.dtype === 'i64' && count!.shape.length === 0 && axis >= 0 && axis < x!.shape.length;
    expectType(fits, `take_last of ${printType(x!)} with a count of ${printType(count!)}: axis ${axis}`);
    const [symbol] = symbolsOf(kept);
    expectType(symbol !== undefined && sameDim(kept, sym(symbol)), 'take_last: `kept` must be one symbol');
    return [
      tensorType(
        x!.dtype,
        x!.shape.map((d, i) => (i === axis ? kept : d)),
      ),
    ];
  },
  evaluate([x, count], { axis }) {
    const size = x!.shape[axis]!;
    const wanted = count!.data[0]!;
    if (wanted < 0) throw new IrError(`take_last: a count of ${wanted}`);
    const kept = wanted === 0 ? size : Math.min(wanted, size);
    const shape = x!.shape.map((d, i) => (i === axis ? kept : d));
    const inner = elementCount(x!.shape.slice(axis + 1));
    const data = new Float64Array(elementCount(shape));
    for (let o = 0; o < elementCount(x!.shape.slice(0, axis)); o++)
      data.set(x!.data.subarray((o * size + size - kept) * inner, (o + 1) * size * inner), o * kept * inner);
    return [{ shape, data }];
  },
});
