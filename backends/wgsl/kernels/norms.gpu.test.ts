import { describe, expect } from 'vitest';
import { sym } from '../../../ir/dim.ts';
import { ops } from '../../../ir/ops/index.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { runOp } from '../../../ir/testing/run_op.ts';
import { differenceOf } from '../testing/compare.ts';
import { itOnGpu } from '../../testing/gpu.ts';
import { layerNormKernel, rmsNormKernel } from './norms.ts';

const shape = [sym('batch'), sym('seq'), 0] as const;
const sizes = { batch: 2, seq: 3 };
const epsilon = 1e-3;

for (const width of [5, 72, 700])
  describe(`norms of rows of ${width}`, () => {
    const of = (rowShape: readonly number[], seed: number) => randomTensor('f32', rowShape, seed);
    const [x, y] = [of([2, 3, width], 1), of([2, 3, width], 2)];
    const [scale, other] = [of([width], 3), of([width], 4)];
    const dims = [...shape.slice(0, 2), width];
    const inputsOf = (...tensors: (typeof x)[]) => tensors.map((tensor) => ({ tensor }));

    itOnGpu('layer_norm', async () => {
      const results = [{ tensor: await runOp(ops.layer_norm, [x, scale, other], { epsilon }) }];
      expect(
        await differenceOf({
          kernel: layerNormKernel({ shape: dims, epsilon }),
          sizes,
          inputs: inputsOf(x, scale, other),
          results,
        }),
      ).toBeLessThan(2e-6);
    });
    itOnGpu('rms_norm', async () => {
      const results = [{ tensor: await runOp(ops.rms_norm, [x, scale], { epsilon }) }];
      const kernel = rmsNormKernel({ shape: dims, residual: false, norm: { epsilon }, storeSum: false });
      expect(await differenceOf({ kernel, sizes, inputs: inputsOf(x, scale), results })).toBeLessThan(2e-6);
    });
    itOnGpu('what is added to the residual, and the norm of the sum', async () => {
      const sum = await runOp(ops.add, [x, y], {});
      const results = [{ tensor: sum }, { tensor: await runOp(ops.rms_norm, [sum, scale], { epsilon }) }];
      const kernel = rmsNormKernel({ shape: dims, residual: true, norm: { epsilon }, storeSum: true });
      expect(await differenceOf({ kernel, sizes, inputs: inputsOf(x, y, scale), results })).toBeLessThan(2e-6);
    });
    itOnGpu('what is normalised, added, and normalised again, with and without the sum', async () => {
      const sum = await runOp(ops.add, [y, await runOp(ops.rms_norm, [x, other], { epsilon: 0.5 })], {});
      const out = { tensor: await runOp(ops.rms_norm, [sum, scale], { epsilon }) };
      const spec = { shape: dims, post: { epsilon: 0.5 }, residual: true, norm: { epsilon } };
      const inputs = inputsOf(x, other, y, scale);
      expect(
        await differenceOf({
          kernel: rmsNormKernel({ ...spec, storeSum: true }),
          sizes,
          inputs,
          results: [{ tensor: sum }, out],
        }),
      ).toBeLessThan(2e-6);
      expect(
        await differenceOf({ kernel: rmsNormKernel({ ...spec, storeSum: false }), sizes, inputs, results: [out] }),
      ).toBeLessThan(2e-6);
    });
    itOnGpu('what is normalised and added, at the end', async () => {
      const results = [{ tensor: await runOp(ops.add, [y, await runOp(ops.rms_norm, [x, other], { epsilon })], {}) }];
      const kernel = rmsNormKernel({ shape: dims, post: { epsilon }, residual: true, storeSum: true });
      expect(await differenceOf({ kernel, sizes, inputs: inputsOf(x, other, y), results })).toBeLessThan(2e-6);
    });
  });
