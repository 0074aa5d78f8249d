import { expect, test } from 'vitest';
import { GraphBuilder } from '../builder.ts';
import { checkGraph } from '../check.ts';
import { addDims, sym } from '../dim.ts';
import { evaluateGraph } from '../evaluate.ts';
import type { Graph } from '../graph.ts';
import { ops } from '../ops/index.ts';
import { tensorOf, type Tensor } from '../tensor.ts';
import { randomTensor } from '../testing/random.ts';
import { fixedCache } from './fixed_cache.ts';
import { fuseAppendCache } from './fuse_append_cache.ts';

const [batch, seq, past] = [sym('batch'), sym('seq'), sym('past')];
const total = addDims(past, seq);

/** Attention to what the cache holds and what came before, by a mask of padding: the shape of a decoder. */
function step(): Graph {
  const b = new GraphBuilder('step');
  const q = b.input('q', { dtype: 'f32', shape: [batch, seq, 4, 8] });
  const k = b.input('k', { dtype: 'f32', shape: [batch, seq, 2, 8] });
  const mask = b.input('mask', { dtype: 'i64', shape: [batch, total] });
  const cache = b.input('cache', { dtype: 'f32', shape: [batch, 2, past, 8] });
  const key = b.op(ops.concat, [cache, b.op(ops.transpose, [k], { perm: [0, 2, 1, 3] })], { axis: 2 });
  const length = b.op(ops.dim_value, [], { dim: past });
  const slots = b.op(ops.reshape, [b.op(ops.iota, [], { length: total })], { shape: [1, 1, 1, total] });
  const own = b.op(ops.reshape, [b.op(ops.add, [b.op(ops.iota, [], { length: seq }), length], {})], {
    shape: [1, 1, seq, 1],
  });
  const isOpen = b.op(
    ops.equal,
    [b.op(ops.reshape, [mask], { shape: [batch, 1, 1, total] }), b.literal('i64', [], [1])],
    {},
  );
  const allowed = b.op(ops.and, [b.op(ops.less_equal, [slots, own], {}), isOpen], {});
  const bias = b.op(ops.where, [allowed, b.literal('f32', [], [0]), b.literal('f32', [], [-2e38])], {});
  b.output('y', b.op(ops.attention, [q, key, key, bias], { softcap: 0 }));
  b.output('present', key);
  return b.build();
}

test('a cache with room gives what one that grows gives, for a prompt and for a step, and the rows behind do not count', async () => {
  const growing = step();
  const fixed = fixedCache.run(fuseAppendCache.run(growing));
  checkGraph(fixed);
  expect(fixed.inputs.map(({ name }) => name)).toEqual(['q', 'k', 'mask', 'cache', 'past']);
  expect(fixed.nodes.some(({ op }) => op === 'append_cache' || op === 'dim_value')).toBe(false);
  const capacity = 9;
  for (const { p, s } of [
    { p: 0, s: 5 },
    { p: 5, s: 1 },
    { p: 3, s: 4 },
  ]) {
    const inputs = {
      q: randomTensor('f32', [2, s, 4, 8], 1),
      k: randomTensor('f32', [2, s, 2, 8], 2),
      mask: tensorOf(
        'i64',
        [2, p + s],
        Array.from({ length: 2 * (p + s) }, (_, i) => (i === 1 ? 0 : 1)),
      ),
      cache: randomTensor('f32', [2, 2, p, 8], 3),
    };
    const expected = await evaluateGraph(growing, inputs);
    // what lies in rows that are not filled may be anything
    const actual = await evaluateGraph(fixed, {
      ...inputs,
      mask: widened(inputs.mask, 1, capacity, 0),
      cache: widened(inputs.cache, 2, capacity, 1000),
      past: tensorOf('i64', [], [p]),
    });
    expect(Array.from(actual['y']!.data)).toEqual(Array.from(expected['y']!.data));
    expect(actual['present']!.shape).toEqual([2, 2, capacity, 8]);
    for (let row = 0; row < 4; row++)
      expect(Array.from(actual['present']!.data.subarray(row * capacity * 8, (row * capacity + p + s) * 8))).toEqual(
        Array.from(expected['present']!.data.subarray(row * (p + s) * 8, (row + 1) * (p + s) * 8)),
      );
  }
});

test('what has no cache stays, and another use of its length is refused', () => {
  const b = new GraphBuilder('plain');
  b.output('y', b.op(ops.tanh, [b.input('x', { dtype: 'f32', shape: [past] })], {}));
  const plain = b.build();
  expect(fixedCache.run(plain)).toBe(plain);
  const graph = fuseAppendCache.run(step());
  const other = new GraphBuilder('other');
  const cache = other.input('cache', { dtype: 'f32', shape: [batch, 2, past, 8] });
  other.output(
    'present',
    other.op(ops.append_cache, [cache, other.input('k', { dtype: 'f32', shape: [batch, seq, 2, 8] })], {}),
  );
  other.output('ids', other.op(ops.iota, [], { length: addDims(past, 1) }));
  expect(() => fixedCache.run(other.build())).toThrow(
    /past \+ 1 counts positions of a cache otherwise than past \+ seq/,
  );
  const once = fixedCache.run(graph);
  expect(fixedCache.run(once)).toBe(once);
});

function widened({ dtype, shape, data }: Tensor, axis: number, size: number, fill: number): Tensor {
  const to = shape.with(axis, size);
  const inner = shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const outer = shape.slice(0, axis).reduce((product, dim) => product * dim, 1);
  const out = Array<number>(outer * size * inner).fill(fill);
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < shape[axis]! * inner; i++) out[o * size * inner + i] = data[o * shape[axis]! * inner + i]!;
  return tensorOf(dtype, to, out);
}
