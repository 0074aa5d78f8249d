import * as ort from 'onnxruntime-node';
import { expect, it } from 'vitest';
import { itOnGpu } from './requirement.ts';
import { TINY_INPUT, TINY_OUTPUT, tinyModel } from './tiny_model.ts';

/** No node may fall back to the CPU: the session is refused instead. */
async function runOn(provider: string): Promise<number[]> {
  const extra = provider === 'cpu' ? {} : { extra: { session: { disable_cpu_ep_fallback: '1' } } };
  const session = await ort.InferenceSession.create(tinyModel(), { executionProviders: [provider], ...extra });
  const { y } = await session.run({ x: new ort.Tensor('float32', Float32Array.from(TINY_INPUT), [2, 2]) });
  await session.release();
  expect(y?.dims).toEqual([2, 3]);
  return Array.from(y?.data as Float32Array);
}

function expectClose(actual: readonly number[]): void {
  expect(actual).toHaveLength(TINY_OUTPUT.length);
  // tanh in f32: a few units in the last place
  actual.forEach((value, i) => expect(Math.abs(value - (TINY_OUTPUT[i] ?? NaN))).toBeLessThan(1e-6));
}

it('onnxruntime-node runs a model on the CPU', async () => expectClose(await runOn('cpu')));

itOnGpu('onnxruntime-node runs the same model on WebGPU, all of it', async () => expectClose(await runOn('webgpu')));
