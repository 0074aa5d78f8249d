import { expect, test } from 'vitest';
import { GraphBuilder } from '../builder.ts';
import { evaluateGraph } from '../evaluate.ts';
import { ops } from '../ops/index.ts';
import { tensorData, tensorOf, type TensorData } from '../tensor.ts';
import { foldConstants } from './fold_constants.ts';

test('a small weight with a literal becomes a weight that is read only when asked for', async () => {
  let reads = 0;
  const stored = tensorData(tensorOf('f32', [3], [0.5, -1, 2]));
  const data: TensorData = {
    ...stored,
    from: { file: 'f', key: 'k', byteOffset: 8 },
    chunks(options) {
      reads++;
      return stored.chunks(options);
    },
  };
  const b = new GraphBuilder('g');
  const x = b.input('x', { dtype: 'f32', shape: [3] });
  b.output('y', b.op(ops.mul, [x, b.op(ops.add, [b.weight('w', data), b.literal('f32', [], [1])], {})], {}));
  const folded = foldConstants.run(b.build());
  expect(folded.nodes.map((node) => node.op)).toEqual(['mul']);
  expect(folded.constants.find((c) => c.value.name === 'add')).toMatchObject({
    kind: 'weight',
    data: { dtype: 'f32', shape: [3], from: { key: 'k' } },
  });
  expect(reads).toBe(0);
  const { y } = await evaluateGraph(folded, { x: tensorOf('f32', [3], [2, 2, 2]) });
  expect([...y!.data]).toEqual([3, 0, 6]);
});

test('a matrix in 16 bits that is widened before use stays so, and what follows is computed', async () => {
  const data = tensorData(tensorOf('f16', [2, 2], [0.5, -1, 2, 4]));
  const b = new GraphBuilder('g');
  const widened = b.op(ops.cast, [b.weight('w', data)], { to: 'f32' });
  b.output('y', b.op(ops.mul, [b.input('x', { dtype: 'f32', shape: [2, 2] }), widened], {}));
  const folded = foldConstants.run(b.build());
  expect(folded.nodes.map((node) => node.op)).toEqual(['cast', 'mul']);
  const { y } = await evaluateGraph(folded, { x: tensorOf('f32', [2, 2], [2, 2, 2, 2]) });
  expect([...y!.data]).toEqual([1, -2, 4, 8]);
});
