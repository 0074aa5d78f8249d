import { expect, test } from 'vitest';
import { KernelThread } from './kernel_thread.ts';

const lent = (count: number) => ({ b: new Float32Array(count), y: new Float64Array(count) });

test('what the thread cannot compute is told by each who asked, and by those after', async () => {
  const nothing = new Uint8Array([1, 2, 3]);
  const thread = new KernelThread({ rows: nothing, columns: nothing, tanh: nothing, threads: 1 });
  const asked = [
    thread.tanh(lent(4)),
    thread.block({ left: thread.left(new Float32Array(4)), m: 1, k: 4, n: 1, ...lent(4) }),
  ];
  for (const each of asked) await expect(each).rejects.toThrow(Error);
  await expect(thread.tanh(lent(4))).rejects.toThrow(Error);
});
