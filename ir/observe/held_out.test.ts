import { expect, test } from 'vitest';
import { GraphBuilder } from '../builder.ts';
import { sym } from '../dim.ts';
import { ops } from '../ops/index.ts';
import { tensorData, tensorOf, type Tensor } from '../tensor.ts';
import { heldOutRows } from './held_out.ts';

const b = new GraphBuilder('g');
const x = b.input('x', { dtype: 'f32', shape: [sym('rows'), 2] });
const w = b.weight('w', tensorData(tensorOf('f32', [3, 2], [1, 2, 3, 4, 5, 6])));
b.output('y', b.op(ops.linear, [x, w], {}));
const graph = b.build();

const rowsFrom = (first: number, count: number): Tensor =>
  tensorOf(
    'f32',
    [count, 2],
    Array.from({ length: 2 * count }, (_, i) => first + Math.floor(i / 2)),
  );

test('rows of a linear layer’s input are kept, copied', () => {
  const held = heldOutRows([graph]);
  expect(held.rowsOf('w')).toBeUndefined();
  const tensor = rowsFrom(1, 2);
  held.observe({ graph: 'g', value: 'x', op: 'input', tensor });
  held.observe({ graph: 'g', value: 'y', op: 'linear', tensor });
  held.observe({ graph: 'other', value: 'x', op: 'input', tensor });
  tensor.data.fill(9);
  expect(held.rowsOf('w')).toEqual({ columns: 2, rows: [Float32Array.of(1, 1), Float32Array.of(2, 2)] });
  expect(held.rowsOf('none')).toBeUndefined();
});

test('at most 128, spread over all that were seen', () => {
  const held = heldOutRows([graph]);
  for (let i = 0; i < 50; i++) held.observe({ graph: 'g', value: 'x', op: 'input', tensor: rowsFrom(10 * i, 10) });
  const kept = held.rowsOf('w')!.rows.map((row) => row[0]!);
  expect(kept.length).toBeGreaterThan(64);
  expect(kept.length).toBeLessThanOrEqual(128);
  expect(new Set(kept.slice(1).map((value, i) => value - kept[i]!))).toEqual(new Set([4]));
  expect(kept.at(-1)).toBe(496);
});
