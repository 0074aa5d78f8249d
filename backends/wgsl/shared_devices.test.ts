import { expect, it } from 'vitest';
import { sharedDevices } from './shared_devices.ts';

/** An adapter whose devices are lost when the test says so. */
function adapter() {
  const lose: (() => void)[] = [];
  const requestDevice = async () => {
    if (lose.length === 3) throw new Error('no more');
    return { lost: new Promise<void>((resolve) => void lose.push(resolve)) };
  };
  return { lose, adapter: { requestDevice } as unknown as GPUAdapter };
}

it('opens a device once for what it is asked for, and again when it is lost or did not open', async () => {
  const { lose, adapter: of } = adapter();
  const limits = { maxBufferSize: 2 ** 28 };
  const open = (...requiredFeatures: GPUFeatureName[]) =>
    sharedDevices.request(of, { requiredFeatures, requiredLimits: limits });
  const [first, again, other] = [await open(), await open(), await open('timestamp-query')];
  expect(again).toBe(first);
  expect(other).not.toBe(first);
  lose[0]!();
  await first.lost;
  const next = await open();
  expect(next).not.toBe(first);
  expect(await open('timestamp-query')).toBe(other);
  lose[2]!();
  await next.lost;
  await expect(open()).rejects.toThrow('no more');
  lose.length = 0;
  expect(await open()).not.toBe(next);
});
