import { expect, test } from 'vitest';
import { evaluateGraph } from '../evaluate.ts';
import { parseGraph } from '../parse.ts';
import { tensorData, type Tensor } from '../tensor.ts';
import { memoryScratch } from '../testing/memory_scratch.ts';
import { randomTensor, seedOf } from '../testing/random.ts';
import { keptRows, type ValueRows } from './kept_rows.ts';

/** %a and %b read %x; %b also reads what the first layer makes. Wide: fewer than 1024 rows take 8 MiB. */
const graphOf = (columns: number) =>
  parseGraph(
    `graph g {
      input %x: f32[rows, ${columns}]
      weight %a: f32[${columns}, ${columns}]
      weight %b: f32[1, ${columns}]
      weight %never: f32[1, 1]
      %first: f32[rows, ${columns}] = linear %x, %a
      %second: f32[rows, 1] = linear %x, %b
      %third: f32[rows, 1] = linear %first, %b
      %unread: f32[rows, 1] = linear %first, %b
      %dead: f32[rows, 1] = linear %unread, %never
      output "second" = %second
      output "third" = %third
    }`,
    { weight: ({ name, dtype, shape }) => tensorData(randomTensor(dtype, shape, seedOf(name))) },
  );

async function rowsOf(values: readonly ValueRows[] | undefined): Promise<number[][]> {
  const rows: number[][] = [];
  for (const value of values ?? []) for await (const row of value.read()) rows.push([...row]);
  return rows;
}

const listed = ({ shape, data }: Tensor) =>
  Array.from({ length: shape[0]! }, (_, r) => [...data.subarray(r * shape[1]!, (r + 1) * shape[1]!)]);

test('all rows of all runs, of each value that a weight reads', async () => {
  const graph = graphOf(4);
  const seen: Tensor[] = [];
  const rows = keptRows([graph], memoryScratch().scratch);
  const inputs = [randomTensor('f32', [3, 4], 1), randomTensor('f32', [5, 4], 2)];
  for (const x of inputs)
    await evaluateGraph(
      graph,
      { x },
      {
        observe(observation) {
          if (observation.value === 'first') seen.push(observation.tensor);
          return rows.observe(observation);
        },
      },
    );
  expect(await rowsOf(rows.rowsOf('a'))).toEqual(inputs.flatMap(listed));
  expect(await rowsOf(rows.rowsOf('b'))).toEqual([...inputs, ...seen].flatMap(listed));
  expect(rows.rowsOf('b')![0], 'one value').toBe(rows.rowsOf('a')![0]);
  expect(rows.rowsOf('never')).toBeUndefined();
});

test('of many rows an even choice, in a room that does not grow', async () => {
  const [columns, count] = [2048, 3000];
  const { scratch, size } = memoryScratch();
  const rows = keptRows([graphOf(columns)], scratch);
  for (let first = 0; first < count; first += 100) {
    const data = Float32Array.from({ length: 100 * columns }, (_, i) => first + Math.floor(i / columns));
    await rows.observe({ graph: 'g', value: 'x', op: 'input', tensor: { dtype: 'f32', shape: [100, columns], data } });
  }
  expect(size()).toBe(8 * 1024 * 1024);
  const kept = (await rowsOf(rows.rowsOf('a'))).map(([own]) => own!);
  expect(kept).toHaveLength(1024);
  expect(new Set(kept).size).toBe(1024);
  // each third of what was seen has a third of them: 341, give or take four standard deviations
  for (const third of [0, 1000, 2000]) {
    const own = kept.filter((row) => row >= third && row < third + 1000).length;
    expect(Math.abs(own - 1024 / 3)).toBeLessThan(50);
  }
});
