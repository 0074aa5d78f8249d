import { expect, test } from 'vitest';
import { GraphBuilder } from '../builder.ts';
import { checkGraph } from '../check.ts';
import { sym } from '../dim.ts';
import { evaluateGraph } from '../evaluate.ts';
import { ops } from '../ops/index.ts';
import { tensorData, tensorOf } from '../tensor.ts';
import { eliminateDeadCode } from './eliminate_dead_code.ts';
import { runPasses } from './pipeline.ts';
import { splitLargeWeights } from './split_large_weights.ts';
import { storeWeights } from './store_weights.ts';

const ROWS = 300;
const WIDTH = 3;
const table = tensorOf(
  'f32',
  [ROWS, WIDTH],
  Array.from({ length: ROWS * WIDTH }, (_, i) => Math.sin(i)),
);

function model() {
  const b = new GraphBuilder('g');
  const weight = b.weight('table', tensorData(table));
  const bias = b.weight(
    'bias',
    tensorData(
      tensorOf(
        'f32',
        [ROWS],
        Array.from({ length: ROWS }, (_, i) => i),
      ),
    ),
  );
  const ids = b.input('ids', { dtype: 'i64', shape: [1, sym('seq')] });
  const rows = b.op(ops.gather, [weight, ids], {});
  b.output('rows', rows);
  b.output('scores', b.op(ops.linear, [rows, weight, bias], {}));
  return b.build();
}

const ids = tensorOf('i64', [1, 9], [0, 1, 63, 64, 127, 128, 192, 255, 299]);

test.each([
  [ROWS * WIDTH * 4 - 1, 2],
  [64 * WIDTH * 4, 5],
  [100 * WIDTH * 4, 3],
])('at most %i bytes: shards give what the whole gives', async (maxBytes, least) => {
  const split = runPasses(model(), [splitLargeWeights(maxBytes), eliminateDeadCode]);
  const shards = split.constants.filter((c) => c.kind === 'weight' && c.value.name.startsWith('table'));
  expect(shards.length).toBeGreaterThanOrEqual(2 * least);
  for (const shard of shards) expect(shard.kind === 'weight' && shard.data.byteLength <= maxBytes).toBe(true);
  expect(await evaluateGraph(split, { ids })).toEqual(await evaluateGraph(model(), { ids }));
});

test.each([1, 2, 3])('a table of %i rows, each of them over the limit', async (rows) => {
  const b = new GraphBuilder('g');
  const values = tensorOf(
    'f32',
    [rows, WIDTH],
    Array.from({ length: rows * WIDTH }, (_, i) => i),
  );
  const weight = b.weight('table', tensorData(values));
  const ids = b.input('ids', { dtype: 'i64', shape: [rows] });
  const found = b.op(ops.gather, [weight, ids], {});
  b.output('rows', found);
  b.output('scores', b.op(ops.linear, [found, weight], {}));
  const graph = b.build();
  const split = splitLargeWeights(WIDTH * 4 - 1).run(graph);
  // an odd row of 4-bit zero points would end within a byte: rows go by two
  expect(split === graph).toBe(rows < 3);
  const all = {
    ids: tensorOf(
      'i64',
      [rows],
      Array.from({ length: rows }, (_, i) => i),
    ),
  };
  expect(await evaluateGraph(split, all)).toEqual(await evaluateGraph(graph, all));
});

test('weights that fit stay whole', () => {
  const graph = model();
  checkGraph(graph);
  expect(splitLargeWeights(ROWS * WIDTH * 4).run(graph)).toBe(graph);
});

test('a matrix that is stored narrow is cut as it is stored, and its shards are widened', async () => {
  const stored = storeWeights('f16').run(model());
  const split = runPasses(stored, [splitLargeWeights(100 * WIDTH * 2), eliminateDeadCode]);
  const shards = split.constants.flatMap((c) =>
    c.kind === 'weight' && c.value.name.startsWith('table') ? [c.data] : [],
  );
  expect(shards.map(({ dtype, shape }) => `${dtype}[${shape}]`)).toEqual(Array.from({ length: 6 }, () => 'f16[100,3]'));
  expect(await evaluateGraph(split, { ids })).toEqual(await evaluateGraph(stored, { ids }));
});

test('a matrix that an op other than a cast makes of a weight stays whole', () => {
  const b = new GraphBuilder('g');
  const weight = b.op(ops.tanh, [b.weight('table', tensorData(table))], {});
  b.output('y', b.op(ops.linear, [b.input('x', { dtype: 'f32', shape: [1, WIDTH] }), weight], {}));
  const graph = b.build();
  expect(splitLargeWeights(1024).run(graph)).toBe(graph);
});

test('an id outside the table fails as it does in the whole', async () => {
  const split = splitLargeWeights(64 * WIDTH * 4).run(model());
  await expect(evaluateGraph(split, { ids: tensorOf('i64', [1, 1], [ROWS]) })).rejects.toThrow(/index \d+ of a table/);
});
