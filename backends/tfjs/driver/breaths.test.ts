import { expect, test, vi } from 'vitest';
import { Breaths } from './breaths.ts';

const tf = (backend: string) => ({ getBackend: () => backend });

test('a thread that was held for long is let go, and a timer that is due runs; one that was not goes on', async () => {
  const breaths = new Breaths(tf('cpu'));
  const due = vi.fn<() => void>();
  await breaths.take();
  setTimeout(due);
  await breaths.take();
  expect(due).not.toHaveBeenCalled();
  const since = performance.now();
  while (performance.now() - since < 12);
  await breaths.take();
  expect(due).toHaveBeenCalledOnce();
});

test.each([
  ['cpu', true],
  ['wasm', true],
  ['webgpu', false],
  ['webgl', false],
])('%s computes in the thread that calls it: %s', (backend, isNeeded) => {
  expect(new Breaths(tf(backend)).isNeeded).toBe(isNeeded);
});
