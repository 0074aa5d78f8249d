import { addDims, sameDim, type Dim } from '../dim.ts';
import { expectType } from '../error.ts';
import { composite } from '../op.ts';
import { printType, tensorType } from '../type.ts';
import { concat } from './concat.ts';
import { transpose } from './transpose.ts';

export const appendCache = composite({
  name: 'append_cache',
  doc: 'concat(cache[B, K, P, H], transpose(x[B, S, K, H], [0, 2, 1, 3]), axis 2): the keys or values of new positions behind those of a KV cache, [B, K, P + S, H]. What runs in place writes S rows.',
  operands: ['cache', 'x'],
  attrs: {},
  traits: ['movement'],
  castPolicy: 'follow any operand',
  infer([cache, x]) {
    const message = `append_cache of ${printType(x!)} to ${printType(cache!)}`;
    expectType(cache!.dtype === x!.dtype && cache!.shape.length === 4 && x!.shape.length === 4, message);
    const [batch, heads, past, size] = cache!.shape as readonly [Dim, Dim, Dim, Dim];
    const [newBatch, seq, newHeads, newSize] = x!.shape as readonly [Dim, Dim, Dim, Dim];
    expectType(sameDim(batch, newBatch) && sameDim(heads, newHeads) && sameDim(size, newSize), message);
    return [tensorType(cache!.dtype, [batch, heads, addDims(past, seq), size])];
  },
  decompose: (b, [cache, x]) => [b.op(concat, [cache!, b.op(transpose, [x!], { perm: [0, 2, 1, 3] })], { axis: 2 })],
});
