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
