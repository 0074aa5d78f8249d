import { ints } from '../attr.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { elementCount } from '../tensor.ts';
import { printType, tensorType } from '../type.ts';

export const transpose = primitive({
  name: 'transpose',
  doc: 'Axes permuted: result axis i is operand axis perm[i].',
  operands: ['x'],
  attrs: { perm: ints() },
  traits: ['movement'],
  castPolicy: 'follow any operand',
  infer([x], { perm }) {
    const valid = perm.length === x!.shape.length && [...perm].sort((a, b) => a - b).every((axis, i) => axis === i);
    expectType(valid, `transpose of ${printType(x!)} by [${perm.join(', ')}]: no permutation of its axes`);
    return [
      tensorType(
        x!.dtype,
        perm.map((axis) => x!.shape[axis]!),
      ),
    ];
  },
  evaluate([x], { perm }) {
    const strides = x!.shape.map((_, axis) => elementCount(x!.shape.slice(axis + 1)));
    const shape = perm.map((axis) => x!.shape[axis]!);
    const data = new Float64Array(x!.data.length);
    const index = shape.map(() => 0);
    for (let i = 0, from = 0; i < data.length; i++) {
      data[i] = x!.data[from]!;
      for (let axis = shape.length - 1; axis >= 0; axis--) {
        const stride = strides[perm[axis]!]!;
        from += stride;
        if (++index[axis]! < shape[axis]!) break;
        from -= stride * shape[axis]!;
        index[axis] = 0;
      }
    }
    return [{ shape, data }];
  },
});
