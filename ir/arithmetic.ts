import type { NumberArray } from './dtypes/codec.ts';
import type { RawTensor } from './op.ts';
import type { Tensor } from './tensor.ts';

/** One operand of a run: `count` elements from `at` on, or one element for all of them. */
interface Run {
  readonly data: NumberArray;
  readonly at: number;
  /** 1, or 0 for one element. */
  readonly step: 0 | 1;
}

/** out[at + i] = x[i] ∘ y[i] for a run of elements. */
export type Loop = (out: Float64Array | Float32Array, at: number, count: number, x: Run, y: Run) => void;

/*
 * The rules of arithmetic as loops that call nothing: a function called for each element, of which there are many,
 * costs several times the operation itself.
 */
export const sums: Loop = (out, at, count, x, y) => {
  const [a, b, i, j, end] = [x.data, y.data, x.at - at, y.at - at, at + count];
  if (x.step === 1 && y.step === 1) for (let o = at; o < end; o++) out[o] = a[o + i]! + b[o + j]!;
  else if (x.step === 1) for (let o = at, c = b[y.at]!; o < end; o++) out[o] = a[o + i]! + c;
  else if (y.step === 1) for (let o = at, c = a[x.at]!; o < end; o++) out[o] = c + b[o + j]!;
  else out.fill(a[x.at]! + b[y.at]!, at, end);
};
export const differences: Loop = (out, at, count, x, y) => {
  const [a, b, i, j, end] = [x.data, y.data, x.at - at, y.at - at, at + count];
  if (x.step === 1 && y.step === 1) for (let o = at; o < end; o++) out[o] = a[o + i]! - b[o + j]!;
  else if (x.step === 1) for (let o = at, c = b[y.at]!; o < end; o++) out[o] = a[o + i]! - c;
  else if (y.step === 1) for (let o = at, c = a[x.at]!; o < end; o++) out[o] = c - b[o + j]!;
  else out.fill(a[x.at]! - b[y.at]!, at, end);
};
export const products: Loop = (out, at, count, x, y) => {
  const [a, b, i, j, end] = [x.data, y.data, x.at - at, y.at - at, at + count];
  if (x.step === 1 && y.step === 1) for (let o = at; o < end; o++) out[o] = a[o + i]! * b[o + j]!;
  else if (x.step === 1) for (let o = at, c = b[y.at]!; o < end; o++) out[o] = a[o + i]! * c;
  else if (y.step === 1) for (let o = at, c = a[x.at]!; o < end; o++) out[o] = c * b[o + j]!;
  else out.fill(a[x.at]! * b[y.at]!, at, end);
};
export const quotients: Loop = (out, at, count, x, y) => {
  const [a, b, i, j, end] = [x.data, y.data, x.at - at, y.at - at, at + count];
  if (x.step === 1 && y.step === 1) for (let o = at; o < end; o++) out[o] = a[o + i]! / b[o + j]!;
  else if (x.step === 1) for (let o = at, c = b[y.at]!; o < end; o++) out[o] = a[o + i]! / c;
  else if (y.step === 1) for (let o = at, c = a[x.at]!; o < end; o++) out[o] = c / b[o + j]!;
  else out.fill(a[x.at]! / b[y.at]!, at, end);
};

/**
 * Two operands of which each is whole, one number, the last axes of the result, or all but its last axis: what models
 * have. Undefined for other broadcasts.
 */
export function runsOverLastAxes(
  [a, b]: readonly Tensor[],
  shape: readonly number[],
  loop: Loop,
  take: (length: number) => Float64Array | Float32Array,
): RawTensor | undefined {
  const count = shape.reduce((product, d) => product * d, 1);
  const [x, y] = [kindOf(a!, shape, count), kindOf(b!, shape, count)];
  if (!x || !y) return undefined;
  const out = take(count);
  const columns = Math.min(x.columns, y.columns);
  for (let at = 0, row = 0; at < count; at += columns, row++)
    loop(out, at, columns, runAt(x, at, row), runAt(y, at, row));
  return { shape, data: out };
}

interface Kind {
  readonly data: NumberArray;
  readonly form: 'whole' | 'number' | 'last axes' | 'row';
  /** Elements of the longest run; of any divisor of it as well. */
  readonly columns: number;
}

function kindOf({ data, shape: own }: Tensor, shape: readonly number[], count: number): Kind | undefined {
  if (data.length === count) return { data, form: 'whole', columns: count };
  if (data.length === 1) return { data, form: 'number', columns: count };
  const lead = shape.length - own.length;
  const first = own.findIndex((d) => d !== 1);
  if (own.slice(first).every((d, i) => d === shape[lead + first + i]))
    return { data, form: 'last axes', columns: data.length };
  const isRows = lead === 0 && own.at(-1) === 1 && own.slice(0, -1).every((d, i) => d === shape[i]);
  return isRows ? { data, form: 'row', columns: shape.at(-1)! } : undefined;
}

function runAt({ data, form }: Kind, at: number, row: number): Run {
  if (form === 'whole') return { data, at, step: 1 };
  if (form === 'last axes') return { data, at: at % data.length, step: 1 };
  return { data, at: form === 'row' ? row : 0, step: 0 };
}
