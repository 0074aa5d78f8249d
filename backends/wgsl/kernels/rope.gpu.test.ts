import { describe, expect } from 'vitest';
import { addDims, sym } from '../../../ir/dim.ts';
import { ops } from '../../../ir/ops/index.ts';
import { tensorOf, type Tensor } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { runOp } from '../../../ir/testing/run_op.ts';
import { differenceOf } from '../testing/compare.ts';
import { itOnGpu } from '../../testing/gpu.ts';
import { appendCacheKernel } from './append_cache.ts';
import { ropeKernel } from './rope.ts';

const [batch, seq, past] = [sym('batch'), sym('seq'), sym('past')];
const sizes = { batch: 2, seq: 3, past: 4, capacity: 9 };

/** A cache [2, heads, past, headDim] before and after, as bindings. */
async function appended(x: Tensor, used: number) {
  const [, , heads, headDim] = x.shape as [number, number, number, number];
  const cache = randomTensor('f32', [2, heads, used, headDim], 9);
  const shape = [batch, heads, addDims(past, seq), headDim];
  return {
    tensor: await runOp(ops.append_cache, [cache, x], {}),
    shape,
    before: { tensor: cache, shape: [batch, heads, past, headDim] },
  };
}

for (const [heads, headDim] of [
  [3, 10],
  [2, 128],
] as const)
  describe(`${heads} heads of ${headDim}`, () => {
    const x = randomTensor('f32', [2, 3, heads, headDim], 1);
    const [cos, sin] = [randomTensor('f32', [12, headDim / 2], 2), randomTensor('f32', [12, headDim / 2], 3)];
    const positions = tensorOf('i64', [2, 3], [4, 5, 6, 0, 1, 11]);
    const joined = tensorOf(
      'f32',
      [12, headDim],
      Array.from({ length: 12 }, (_, row) =>
        [cos, sin].flatMap(({ data }) => [...data.subarray((row * headDim) / 2, ((row + 1) * headDim) / 2)]),
      ).flat(),
    );
    const inputs = [{ tensor: x }, { tensor: positions }, { tensor: joined }];
    const spec = { batch, seq, heads, headDim };

    itOnGpu('rope, scaled', async () => {
      const rotated = await runOp(ops.rope, [x, positions, cos, sin], {});
      const tensor = await runOp(ops.mul, [rotated, tensorOf('f32', [], [0.3])], {});
      expect(
        await differenceOf({ kernel: ropeKernel({ ...spec, scale: 0.3 }), sizes, inputs, results: [{ tensor }] }),
      ).toBeLessThan(1e-6);
    });
    itOnGpu('rope into a cache', async () => {
      const rotated = await runOp(ops.rope, [x, positions, cos, sin], {});
      const results = [await appended(rotated, 4)];
      expect(
        await differenceOf({ kernel: ropeKernel({ ...spec, scale: 1, append: { past } }), sizes, inputs, results }),
      ).toBeLessThan(1e-6);
    });
    itOnGpu('append_cache, to an empty cache as well', async () => {
      for (const used of [4, 0]) {
        const results = [await appended(x, used)];
        expect(
          await differenceOf({
            kernel: appendCacheKernel({ ...spec, past }),
            sizes: { ...sizes, past: used },
            inputs: [{ tensor: x }],
            results,
          }),
        ).toBe(0);
      }
    });
  });
