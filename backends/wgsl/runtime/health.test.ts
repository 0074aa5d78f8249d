import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RuntimeError } from '../../client/errors.ts';
import { DeviceHealth, lossOf } from './health.ts';

class OutOfMemory extends Error {}

/** What is listened to of a device, and what makes it tell. */
function device() {
  const listeners = new Set<(event: { error: Error }) => void>();
  let lose: (info: { reason: string; message: string }) => void = () => {};
  const lost = new Promise<{ reason: string; message: string }>((resolve) => (lose = resolve));
  return {
    tell: (error: Error) => listeners.forEach((listener) => listener({ error })),
    lose: async (message = 'it went away\n') => {
      lose({ reason: 'unknown', message });
      await lost;
    },
    listeners,
    gpu: {
      lost,
      addEventListener: (_: string, listener: (event: { error: Error }) => void) => listeners.add(listener),
      removeEventListener: (_: string, listener: (event: { error: Error }) => void) => listeners.delete(listener),
    } as unknown as GPUDevice,
  };
}

const codeOf = (check: () => void): unknown => {
  try {
    check();
    return 'well';
  } catch (error) {
    return (error as RuntimeError).code;
  }
};

beforeEach(() => vi.stubGlobal('GPUOutOfMemoryError', OutOfMemory));
afterEach(() => vi.unstubAllGlobals());

describe('a device', () => {
  it('that says nothing is well', () => {
    const health = new DeviceHealth(device().gpu);
    expect(() => health.check()).not.toThrow();
  });

  it('tells an error once, the first of several', () => {
    const { gpu, tell } = device();
    const health = new DeviceHealth(gpu);
    tell(new Error('first'));
    tell(new Error('second'));
    expect(() => health.check()).toThrow(/refused a command: first/);
    expect(() => health.check()).not.toThrow();
    tell(new Error('third'));
    expect(codeOf(() => health.check())).toBe('refused');
  });

  it('without room says so', () => {
    const { gpu, tell } = device();
    const health = new DeviceHealth(gpu);
    tell(new OutOfMemory('too much'));
    expect(codeOf(() => health.check())).toBe('out_of_memory');
  });

  it('that is lost says so at every call, whatever else it said', async () => {
    const { gpu, tell, lose } = device();
    const health = new DeviceHealth(gpu);
    tell(new Error('first'));
    await lose();
    for (let call = 0; call < 2; call++) {
      expect(codeOf(() => health.check())).toBe('device_lost');
      expect(() => health.check()).toThrow('the device is gone (unknown: it went away)');
    }
  });

  it('is no longer listened to when it is disposed of', () => {
    const { gpu, listeners } = device();
    const health = new DeviceHealth(gpu);
    expect(listeners.size).toBe(1);
    health.dispose();
    expect(listeners.size).toBe(0);
  });
});

describe('why a call failed', () => {
  it('is that the device is lost, where it is', async () => {
    const { gpu, lose } = device();
    const cause = new Error('mapAsync');
    const failed = lossOf(gpu, cause);
    await lose('');
    expect(await failed).toMatchObject({ code: 'device_lost', problem: 'the device is gone (unknown)', cause });
  });

  it('is what it failed with, where it says nothing for a while', async () => {
    const cause = new Error('mapAsync');
    expect(await lossOf(device().gpu, cause)).toBe(cause);
  });

  it('is what was told already', async () => {
    const told = new RuntimeError('refused', 'x');
    const { gpu, lose } = device();
    await lose();
    expect(await lossOf(gpu, told)).toBe(told);
  });
});
