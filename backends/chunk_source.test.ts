import { expect, test } from 'vitest';
import { GraphBuilder } from '../ir/builder.ts';
import { sym } from '../ir/dim.ts';
import { dtypes, isFloat } from '../ir/dtypes/index.ts';
import { ops } from '../ir/ops/index.ts';
import { runPasses, storeWeights } from '../ir/passes/index.ts';
import { readTensor, tensorData, type Tensor } from '../ir/tensor.ts';
import { randomTensor } from '../ir/testing/random.ts';
import { tensorType } from '../ir/type.ts';
import { unroundedPieces } from '../ir/views/unrounded.ts';
import type { ChunkTensor } from './backend.ts';
import { backendNames, findBackend } from './find_backend.ts';
import { programOf } from './testing/tiny_program.ts';

const SIZE = 64;
/** Of files whose bytes nobody looks at. */
const NO_HASH = '0'.repeat(64);
/** Of each weight: infinite in the checkpoint, and too large for f16. */
const [INFINITE, LARGE] = [1, 2];

/** Two products of one vector, whose weights a backend may transpose or join, in f16. */
function overflowing() {
  const b = new GraphBuilder('decoder');
  const x = b.input('x', tensorType('f32', [sym('seq'), SIZE]));
  const [first, second] = ['a', 'b'].map((name, seed) => {
    const { data, ...type } = randomTensor('f32', [SIZE, SIZE], seed);
    data.set([-Infinity, 1e6, -70000], seed);
    return b.op(ops.linear, [x, b.weight(name, tensorData({ ...type, data }))], {});
  });
  b.output('y', b.op(ops.add, [first!, second!], {}));
  return programOf(runPasses(b.build(), [storeWeights('f16')]));
}

const infinities = ({ data }: Tensor) => data.filter((x) => Math.abs(x) === Infinity).length;

test.each(backendNames())('%s: what did not fit is told from what was infinite before', async (name) => {
  const backend = await findBackend(name);
  const written = new Map<ChunkTensor, number>();
  for (const file of backend.emit(overflowing(), { precision: 'fp16' }).files)
    for await (const { bytes, tensor } of file.chunks({ sha256Of: async () => NO_HASH })) {
      if (!tensor || !isFloat(tensor.dtype)) continue;
      const { bits, allocate, decode } = dtypes[tensor.dtype];
      const data = allocate((bytes.byteLength * 8) / bits);
      decode(bytes, data.length, data, 0);
      const found = infinities({ dtype: tensor.dtype, shape: [data.length], data });
      written.set(tensor, (written.get(tensor) ?? 0) + found);
    }
  const before = new Map<ChunkTensor, number>();
  for (const tensor of written.keys()) {
    const pieces = await Promise.all(unroundedPieces(tensor.source).map(readTensor));
    before.set(
      tensor,
      pieces.reduce((sum, piece) => sum + infinities(piece), 0),
    );
  }
  const sum = (counts: ReadonlyMap<ChunkTensor, number>) => [...counts.values()].reduce((a, b) => a + b, 0);
  expect(sum(written)).toBe(2 * (INFINITE + LARGE));
  expect(sum(before)).toBe(2 * INFINITE);
});
