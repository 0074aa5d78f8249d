import { expect, it } from 'vitest';
import { evaluateDim, sym, type Dim } from '../../../ir/dim.ts';
import { CAPACITY } from '../bundle/plan.ts';
import { attentionStepKernels } from './attention_step.ts';

/** Keys that one workgroup takes. */
const KEYS = 32;
const [batch, heads, headDim] = [2, 4, 40];
const elements = (shape: readonly Dim[], capacity: number) =>
  shape.reduce<number>((product, dim) => product * evaluateDim(dim, new Map([[CAPACITY, capacity]])), 1);

it.each([
  ['known', (total: number): Dim => total],
  ['that grows', (): Dim => sym('past')],
])('there is room for what each workgroup of a cache %s leaves, and hardly more', (_, totalOf) => {
  for (const capacity of [1, 31, 32, 33, 64, 65, 1000]) {
    const spec = { batch, seq: 1, total: totalOf(capacity), heads, kvHeads: 2, headDim, softcap: 0, bias: true };
    const { partial, stats } = attentionStepKernels(spec).scratch;
    const groups = batch * heads * Math.ceil(capacity / KEYS);
    expect(elements(partial, capacity)).toBeGreaterThanOrEqual(groups * headDim);
    expect(elements(stats, capacity)).toBeGreaterThanOrEqual(groups * 2);
    const most = batch * heads * (capacity + KEYS - 1);
    expect(elements(partial, capacity)).toBeLessThanOrEqual(
      Math.max(groups * headDim, most * Math.ceil(headDim / KEYS)),
    );
    expect(elements(stats, capacity)).toBeLessThanOrEqual(Math.max(groups * 2, most));
  }
});
