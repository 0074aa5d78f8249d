import { expect, test } from 'vitest';
import type { Backend } from '../../backends/backend.ts';
import { BackendError } from '../../backends/error.ts';
import { chooseDevice } from './choose_device.ts';

/** A backend on WebGPU, of which these devices are ready. */
const backendWith = (...ready: readonly string[]) =>
  ({
    name: 'shaders',
    devices: ['webgpu', 'software', 'browser'],
    packages: () => [],
    ready(device = 'webgpu') {
      if (ready.includes(device)) return Promise.resolve(undefined);
      const place = { hint: `install ${device}` };
      return Promise.reject(new BackendError('runtime-missing', `no ${device} here`, place));
    },
  }) as unknown as Backend;

test('the usual device, where it is there; without a GPU the software one, and that is said', async () => {
  expect(await chooseDevice(backendWith('webgpu', 'software'), {})).toEqual({ device: 'webgpu' });
  expect(await chooseDevice(backendWith('software'), {})).toEqual({
    device: 'software',
    note: 'no webgpu here: the software GPU of this machine computes in its place.',
  });
});

test('with neither, both are named, with the line that installs the software one', async () => {
  await expect(chooseDevice(backendWith(), {})).rejects.toMatchObject({
    code: 'runtime-missing',
    message: 'no webgpu here; and no software here',
    place: { hint: 'install software' },
  });
});

test('a device that is asked for is taken, and nothing in its place', async () => {
  const backend = backendWith('software');
  expect(await chooseDevice(backend, { device: 'webgpu' })).toEqual({ device: 'webgpu' });
  expect(await chooseDevice(backend, { device: 'software:swiftshader' })).toEqual({ device: 'software' });
  expect(await chooseDevice(backend, { device: 'browser:webgpu', browser: '/x' })).toEqual({
    device: 'browser',
    browser: '/x',
  });
});

test('a device of another backend, and a browser that would do nothing, are refused', async () => {
  await expect(chooseDevice(backendWith(), { device: 'cpu' })).rejects.toMatchObject({
    code: 'unknown_device',
    place: { hint: 'choose one of webgpu, software, browser' },
  });
  for (const choice of [{ browser: '/x' }, { device: 'software', browser: '/x' }])
    await expect(chooseDevice(backendWith(), choice)).rejects.toMatchObject({ code: 'idle_browser' });
});

test('another failure than that nothing is there is not made up for', async () => {
  const backend = { ...backendWith(), ready: () => Promise.reject(new BackendError('bad-input', 'broken')) };
  await expect(chooseDevice(backend, {})).rejects.toThrow('broken');
});
