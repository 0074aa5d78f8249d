import { describe, expect, test } from 'vitest';
import { globals } from 'webgpu';
import type { Plan } from '../bundle/plan.ts';
import { DeviceMemory } from './memory.ts';
import { uploadShards } from './upload.ts';

const MIB = 1024 * 1024;
Object.assign(globalThis, globals);

/** A device that takes bytes when it is told to wait for them, and knows how many wait at most. */
function slowDevice() {
  const seen = { waiting: 0, most: 0, written: 0 };
  const device = {
    createBuffer: ({ size }: { size: number }) => ({ size, destroy() {} }),
    pushErrorScope() {},
    popErrorScope: async () => null,
    queue: {
      writeBuffer(_buffer: unknown, _at: number, chunk: Uint8Array) {
        seen.waiting += chunk.byteLength;
        seen.written += chunk.byteLength;
        seen.most = Math.max(seen.most, seen.waiting);
      },
      async onSubmittedWorkDone() {
        seen.waiting = 0;
      },
    },
  };
  return { memory: new DeviceMemory(device as unknown as GPUDevice), seen };
}

const planOf = (...sizes: readonly number[]) =>
  ({ shards: sizes.map((byteLength, i) => ({ path: `weights/${i}.bin`, byteLength, sha256: '' })) }) as unknown as Plan;

async function* zeros(byteLength: number, chunk: number): AsyncGenerator<Uint8Array> {
  const bytes = new Uint8Array(chunk);
  for (let at = 0; at < byteLength; at += chunk) yield bytes.subarray(0, Math.min(chunk, byteLength - at));
}

describe('weights on their way', () => {
  test('wait for the device in the host’s memory in a bounded number, whatever there is of them', async () => {
    const { memory, seen } = slowDevice();
    const sizes = [100 * MIB, 128 * MIB, 37 * MIB + 3];
    const total = sizes.reduce((sum, size) => sum + size, 0);
    const { times } = await uploadShards(memory, planOf(...sizes), {
      readShard: (i) => zeros(sizes[i]!, 16 * MIB),
      signal: new AbortController().signal,
    });
    expect(seen.written).toBe(Math.ceil(total / 4) * 4);
    // what the host holds at a time
    expect(seen.most).toBeLessThanOrEqual(64 * MIB + 4 * MIB);
    expect(Math.min(times.fetch, times.upload)).toBeGreaterThanOrEqual(0);
  });

  test('that take long to come count as fetched', async () => {
    const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));
    async function* slow(): AsyncGenerator<Uint8Array> {
      for (let i = 0; i < 4; i++) {
        await pause(20);
        yield new Uint8Array(64);
      }
    }
    const { memory } = slowDevice();
    const { times } = await uploadShards(memory, planOf(256), {
      readShard: slow,
      signal: new AbortController().signal,
    });
    expect(times.fetch).toBeGreaterThan(4 * 15);
  });
});
