import { sameDim } from '../dim.ts';
import { isFloat } from '../dtypes/index.ts';
import type { NumberArray } from '../dtypes/codec.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { elementCount, readRows, type Tensor } from '../tensor.ts';
import { printType, sameShape, tensorType } from '../type.ts';

/** Rows of a weight that are decoded at once when it is streamed: 8 Mi elements, 32 MB. */
const STREAMED_ELEMENTS = 8 * 1024 * 1024;

/**
 * Adds x[R, I] · w[first.., I]ᵀ into columns first.. of out[R, O]. Four sums run side by side, each in the order of I:
 * a single one waits for its own last addition most of the time.
 */
function accumulate(
  x: NumberArray,
  w: NumberArray,
  rows: number,
  inner: number,
  first: number,
  count: number,
  outer: number,
  out: Float64Array,
): void {
  for (let r = 0; r < rows; r++) {
    const a = r * inner;
    const at = r * outer + first;
    let o = 0;
    for (; o + 4 <= count; o += 4) {
      const b = o * inner;
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      for (let i = 0; i < inner; i++) {
        const value = x[a + i]!;
        s0 += value * w[b + i]!;
        s1 += value * w[b + inner + i]!;
        s2 += value * w[b + 2 * inner + i]!;
        s3 += value * w[b + 3 * inner + i]!;
      }
      out[at + o] = out[at + o]! + s0;
      out[at + o + 1] = out[at + o + 1]! + s1;
      out[at + o + 2] = out[at + o + 2]! + s2;
      out[at + o + 3] = out[at + o + 3]! + s3;
    }
    for (; o < count; o++) {
      let sum = 0;
      for (let i = 0, b = o * inner; i < inner; i++) sum += x[a + i]! * w[b + i]!;
      out[at + o] = out[at + o]! + sum;
    }
  }
}

function prepare(x: Tensor, outer: number, bias: Tensor | undefined) {
  const inner = x.shape.at(-1)!;
  const shape = [...x.shape.slice(0, -1), outer];
  const rows = elementCount(x.shape.slice(0, -1));
  const data = new Float64Array(rows * outer);
  if (bias) for (let r = 0; r < rows; r++) data.set(bias.data, r * outer);
  return { inner, shape, rows, data };
}

export const linear = primitive({
  name: 'linear',
  doc: 'x[..., I] · weight[O, I]ᵀ + bias[O]: a fully connected layer with the weight as checkpoints of torch keep it.',
  operands: ['x', 'weight', 'bias?'],
  attrs: {},
  traits: ['linear'],
  castPolicy: 'compute',
  infer([x, weight, bias]) {
    const all = [x!, weight!, ...(bias ? [bias] : [])];
    const fits =
      isFloat(x!.dtype) &&
      all.every((t) => t.dtype === x!.dtype) &&
      weight!.shape.length === 2 &&
      x!.shape.length >= 2 &&
      sameDim(x!.shape.at(-1)!, weight!.shape[1]!);
    expectType(
      fits && (!bias || sameShape(bias.shape, [weight!.shape[0]!])),
      `linear of ${all.map(printType).join(', ')}`,
    );
    return [tensorType(x!.dtype, [...x!.shape.slice(0, -1), weight!.shape[0]!])];
  },
  evaluate([x, weight, bias]) {
    const outer = weight!.shape[0]!;
    const { inner, shape, rows, data } = prepare(x!, outer, bias);
    accumulate(x!.data, weight!.data, rows, inner, 0, outer, outer, data);
    return [{ shape, data }];
  },
  streamedOperand: 1,
  async evaluateStreamed([x, bias], weight) {
    const outer = weight.shape[0]!;
    const { inner, shape, rows, data } = prepare(x!, outer, bias);
    const step = Math.max(1, Math.floor(STREAMED_ELEMENTS / inner));
    for (let first = 0; first < outer; first += step) {
      const count = Math.min(step, outer - first);
      const block = await readRows(weight, first, first + count);
      accumulate(x!.data, block.data, rows, inner, first, count, outer, data);
    }
    return [{ shape, data }];
  },
});
