import { sameDim } from '../dim.ts';
import { isFloat } from '../dtypes/index.ts';
import type { NumberArray } from '../dtypes/codec.ts';
import { expectType } from '../error.ts';
import { primitive } from '../op.ts';
import { elementCount, readRows, type Tensor } from '../tensor.ts';
import { printType, sameShape, tensorType } from '../type.ts';

/** Rows of a weight that are decoded at once when it is streamed: 8 Mi elements, 32 MB. */
const STREAMED_ELEMENTS = 8 * 1024 * 1024;

/** x[rows, inner] and where its products with `count` rows of a weight go: columns first.. of out[rows, outer]. */
interface Sums {
  readonly x: NumberArray;
  readonly rows: number;
  readonly inner: number;
  readonly first: number;
  readonly count: number;
  readonly outer: number;
  readonly out: Float64Array;
}

/**
 * Adds x · wᵀ. Four columns are summed side by side, since a single sum waits for its own last addition most of the
 * time, and two rows, so that an element of w is read once for both. Each sum is in the order of `inner`, whatever is
 * computed beside it.
 */
function accumulate(w: NumberArray, sums: Sums): void {
  const { x, rows, inner, first, count, outer, out } = sums;
  const wide = count - (count % 4);
  const paired = rows - (rows % 2);
  for (let r = 0; r < paired; r += 2) accumulatePair(w, { ...sums, count: wide }, r);
  for (let r = 0; r < rows; r++) {
    const a = r * inner;
    const at = r * outer + first;
    for (let o = r < paired ? wide : 0; o < wide; o += 4) {
      const b = o * inner;
      let [s0, s1, s2, s3] = [0, 0, 0, 0];
      for (let i = 0; i < inner; i++) {
        const value = x[a + i]!;
        s0 += value * w[b + i]!;
        s1 += value * w[b + inner + i]!;
        s2 += value * w[b + 2 * inner + i]!;
        s3 += value * w[b + 3 * inner + i]!;
      }
      add(out, at + o, s0, s1, s2, s3);
    }
    for (let o = wide; o < count; o++) {
      let sum = 0;
      for (let i = 0, b = o * inner; i < inner; i++) sum += x[a + i]! * w[b + i]!;
      out[at + o] = out[at + o]! + sum;
    }
  }
}

/** Rows r and r + 1, a multiple of four columns. */
function accumulatePair(w: NumberArray, { x, inner, first, count, outer, out }: Sums, r: number): void {
  const a = r * inner;
  const b = a + inner;
  const at = r * outer + first;
  for (let o = 0; o < count; o += 4) {
    const c = o * inner;
    let [a0, a1, a2, a3, b0, b1, b2, b3] = [0, 0, 0, 0, 0, 0, 0, 0];
    for (let i = 0; i < inner; i++) {
      const xa = x[a + i]!;
      const xb = x[b + i]!;
      const v0 = w[c + i]!;
      const v1 = w[c + inner + i]!;
      const v2 = w[c + 2 * inner + i]!;
      const v3 = w[c + 3 * inner + i]!;
      a0 += xa * v0;
      a1 += xa * v1;
      a2 += xa * v2;
      a3 += xa * v3;
      b0 += xb * v0;
      b1 += xb * v1;
      b2 += xb * v2;
      b3 += xb * v3;
    }
    add(out, at + o, a0, a1, a2, a3);
    add(out, at + outer + o, b0, b1, b2, b3);
  }
}

function add(out: Float64Array, at: number, s0: number, s1: number, s2: number, s3: number): void {
  out[at] = out[at]! + s0;
  out[at + 1] = out[at + 1]! + s1;
  out[at + 2] = out[at + 2]! + s2;
  out[at + 3] = out[at + 3]! + s3;
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
    accumulate(weight!.data, { x: x!.data, rows, inner, first: 0, count: outer, outer, out: data });
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
      accumulate(block.data, { x: x!.data, rows, inner, first, count, outer, out: data });
    }
    return [{ shape, data }];
  },
});
