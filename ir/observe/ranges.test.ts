import { expect, test } from 'vitest';
import { evaluateGraph } from '../evaluate.ts';
import { parseGraph } from '../parse.ts';
import { tensorOf } from '../tensor.ts';
import { rangeCollector } from './ranges.ts';

test('ranges of inputs and results over several runs; integers have none; infinities and NaN are counted apart', async () => {
  const graph = parseGraph(
    'graph g { input %x: f32[n] input %i: i64[n] %y: f32[n] = sqrt %x %z: f32[n] = add %y, %y %j: i64[n] = add %i, %i output "z" = %z output "j" = %j }',
  );
  const { observe, ranges } = rangeCollector();
  const run = (values: readonly number[]) =>
    evaluateGraph(
      graph,
      {
        x: tensorOf('f32', [values.length], values),
        i: tensorOf(
          'i64',
          [values.length],
          values.map(() => 3),
        ),
      },
      { observe },
    );
  await run([4, 9]);
  await run([-1, Infinity, 0.25]);
  const values = ranges.get('g')!;
  expect([...values.keys()]).toEqual(['x', 'y', 'z']);
  expect(values.get('x')).toEqual({ value: { min: -1, max: 9, absMax: 9, nonFinite: 1, count: 5 } });
  expect(values.get('y')).toEqual({ value: { min: 0.5, max: 3, absMax: 3, nonFinite: 2, count: 5 } });
  expect(values.get('z')).toEqual({ value: { min: 1, max: 6, absMax: 6, nonFinite: 2, count: 5 } });
  await run([Number.NaN]);
  expect(values.get('y')!.value).toEqual({ min: 0.5, max: 3, absMax: 3, nonFinite: 3, count: 6 });
});

test('a value that was never finite has an empty range', async () => {
  const graph = parseGraph('graph g { input %x: f32[1] %y: f32[1] = sqrt %x output "y" = %y }');
  const { observe, ranges } = rangeCollector();
  await evaluateGraph(graph, { x: tensorOf('f32', [1], [-1]) }, { observe });
  expect(ranges.get('g')!.get('y')!.value).toEqual({
    min: Infinity,
    max: -Infinity,
    absMax: 0,
    nonFinite: 1,
    count: 1,
  });
});

test('scores inside of attention are ranged apart from its result', async () => {
  const graph = parseGraph(
    'graph g { input %q: f32[1, 1, 1, 2] input %k: f32[1, 1, 2, 2] input %v: f32[1, 1, 2, 2] %y: f32[1, 1, 1, 2] = attention %q, %k, %v {softcap = 2} output "y" = %y }',
  );
  const { observe, ranges } = rangeCollector();
  await evaluateGraph(
    graph,
    {
      q: tensorOf('f32', [1, 1, 1, 2], [100, 1]),
      k: tensorOf('f32', [1, 1, 2, 2], [300, 0, -5, 1]),
      v: tensorOf('f32', [1, 1, 2, 2], [1, 2, 3, 4]),
    },
    { observe },
  );
  const { value, products } = ranges.get('g')!.get('y')!;
  expect(value.absMax).toBeLessThanOrEqual(4);
  expect([products!.min, products!.max]).toEqual([-499, 30000]);
});
