import { sameDim, type Dim } from '../dim.ts';
import { expectType } from '../error.ts';
import { composite } from '../op.ts';
import { printType, tensorType } from '../type.ts';
import { and } from './and.ts';
import { dimValue } from './dim_value.ts';
import { gather } from './gather.ts';
import { iota } from './iota.ts';
import { lessEqual } from './less_equal.ts';
import { reshape } from './reshape.ts';
import { sub } from './sub.ts';
import { transpose } from './transpose.ts';
import { where } from './where.ts';

export const updateCache = composite({
  name: 'update_cache',
  doc:
    'A KV cache of fixed capacity cache[B, K, C, H] with x[B, S, K, H] in rows past … past + S - 1 (past is an i64 scalar, past + S at ' +
    'most C), the others as they were: what append_cache is where tensors keep their size.',
  operands: ['cache', 'x', 'past'],
  attrs: {},
  traits: ['movement'],
  castPolicy: 'follow any operand',
  infer([cache, x, past]) {
    const message = `update_cache of ${printType(cache!)} by ${printType(x!)} from ${printType(past!)}`;
    expectType(
      cache!.dtype === x!.dtype &&
        cache!.shape.length === 4 &&
        x!.shape.length === 4 &&
        past!.dtype === 'i64' &&
        past!.shape.length === 0,
      message,
    );
    const [batch, heads, , size] = cache!.shape as readonly [Dim, Dim, Dim, Dim];
    const [newBatch, , newHeads, newSize] = x!.shape as readonly [Dim, Dim, Dim, Dim];
    expectType(sameDim(batch, newBatch) && sameDim(heads, newHeads) && sameDim(size, newSize), message);
    return [tensorType(cache!.dtype, cache!.shape)];
  },
  /** Every row of the cache asks for the new row that belongs there; rows that have none take the first and drop it. */
  decompose(b, [cache, x, past]) {
    const [, , capacity] = cache!.type.shape as readonly [Dim, Dim, Dim, Dim];
    const seq = x!.type.shape[1]!;
    const integer = (value: number) => b.literal('i64', [], [value]);
    const own = b.op(sub, [b.op(iota, [], { length: capacity }), past!], {});
    const last = b.op(sub, [b.op(dimValue, [], { dim: seq }), integer(1)], {});
    const isNew = b.op(and, [b.op(lessEqual, [integer(0), own], {}), b.op(lessEqual, [own, last], {})], {});
    const rows = b.op(
      gather,
      [b.op(transpose, [x!], { perm: [1, 0, 2, 3] }), b.op(where, [isNew, own, integer(0)], {})],
      {},
    );
    const placed = b.op(transpose, [rows], { perm: [1, 2, 0, 3] });
    return [b.op(where, [b.op(reshape, [isNew], { shape: [1, 1, capacity, 1] }), placed, cache!], {})];
  },
});
