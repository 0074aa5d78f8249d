import { sameDim, type Dim } from '../dim.ts';
import { isFloat } from '../dtypes/index.ts';
import { expectType } from '../error.ts';
import { composite } from '../op.ts';
import { printType, sameShape, tensorType } from '../type.ts';
import { add } from './add.ts';
import { concat } from './concat.ts';
import { gather } from './gather.ts';
import { mul } from './mul.ts';
import { reshape } from './reshape.ts';
import { slice } from './slice.ts';
import { sub } from './sub.ts';

export const rope = composite({
  name: 'rope',
  doc:
    'Rotary position embedding (arXiv:2104.09864), half-split as in GPT-NeoX: x[B, S, N, H] is rotated by the angles whose ' +
    'cosines and sines are cos[P, H/2] and sin[P, H/2] at positions[B, S]. (x1, x2) becomes (x1 cos - x2 sin, x2 cos + x1 sin).',
  operands: ['x', 'positions', 'cos', 'sin'],
  attrs: {},
  traits: [],
  castPolicy: 'keep f32',
  infer([x, positions, cos, sin]) {
    const size = x!.shape.at(-1);
    const fits =
      isFloat(x!.dtype) &&
      x!.shape.length === 4 &&
      typeof size === 'number' &&
      size % 2 === 0 &&
      positions!.dtype === 'i64' &&
      sameShape(positions!.shape, x!.shape.slice(0, 2));
    const tables = [cos!, sin!].every(
      (t) => t.dtype === x!.dtype && t.shape.length === 2 && sameDim(t.shape[1]!, (size as number) / 2),
    );
    expectType(fits && tables, `rope of ${[x!, positions!, cos!, sin!].map(printType).join(', ')}`);
    return [tensorType(x!.dtype, x!.shape)];
  },
  decompose(b, [x, positions, cosTable, sinTable]) {
    const size = x!.type.shape[3] as number;
    const [batch, seq] = x!.type.shape as readonly [Dim, Dim];
    const rows = (table: typeof x) =>
      b.op(reshape, [b.op(gather, [table!, positions!], {})], { shape: [batch, seq, 1, size / 2] });
    const [cos, sin] = [rows(cosTable), rows(sinTable)];
    const first = b.op(slice, [x!], { axis: 3, begin: 0, end: size / 2 });
    const second = b.op(slice, [x!], { axis: 3, begin: size / 2, end: size });
    const rotatedFirst = b.op(sub, [b.op(mul, [first, cos], {}), b.op(mul, [second, sin], {})], {});
    const rotatedSecond = b.op(add, [b.op(mul, [second, cos], {}), b.op(mul, [first, sin], {})], {});
    return [b.op(concat, [rotatedFirst, rotatedSecond], { axis: 3 })];
  },
});
