import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Phase, Plan } from '../bundle/plan.ts';
import type { DeviceMemory } from './memory.ts';
import { PlanBuffers } from './plan_buffers.ts';

const value = (name: string, buffer: number) =>
  ({ name, type: 'f32', shape: [], buffer }) as unknown as Phase['inputs'][0];
const step = (...buffers: number[]) =>
  ({
    bindings: [{ kind: 'weight', index: 9 }, ...buffers.map((index) => ({ kind: 'buffer', index }))],
  }) as unknown as Phase['steps'][0];
const phase = (rest: Partial<Phase>): Phase =>
  ({ inputs: [], outputs: [], stages: [], steps: [], ...rest }) as unknown as Phase;
/** `bytes` for each of `seq`. */
const buffer = (label: string, bytes: number) => ({
  label,
  role: 'scratch' as const,
  sizes: [{ factors: [{ constant: 0, terms: [{ symbol: 0, factor: 1 }] }], bytes }],
});

const PHASE = phase({
  inputs: [value('x', 0)],
  outputs: [value('y', 1)],
  stages: [value('lm.0', 2)],
  steps: [step(3)],
});
const plan = {
  symbols: ['seq', 'capacity'],
  buffers: [buffer('a', 4), buffer('b', 8), buffer('c', 4), buffer('d', 40), buffer('of none', 4)],
  phases: [PHASE],
} as unknown as Plan;

/** Memory of a device that has room for `room` bytes, and what it was asked for. */
function memory(room = Infinity) {
  const log: string[] = [];
  let used = 0;
  const made = {
    device: { limits: { maxStorageBufferBindingSize: 4000, maxBufferSize: 5000 }, lost: new Promise(() => {}) },
    create({ label, size }: { label: string; size: number }) {
      used += size;
      log.push(`${label} ${size}`);
      return { label, size };
    },
    destroy({ label, size }: { label: string; size: number }) {
      used -= size;
      log.push(`-${label} ${size}`);
    },
    async checked(what: string, make: () => void) {
      make();
      if (used > room) throw new RangeError(`no room for ${what}`);
    },
  };
  return { log, used: () => used, memory: made as unknown as DeviceMemory };
}

beforeEach(() => vi.stubGlobal('GPUBufferUsage', { STORAGE: 128, COPY_SRC: 4, COPY_DST: 8 }));
afterEach(() => vi.unstubAllGlobals());

describe('memory of phases', () => {
  it('is made for what they touch, in steps of 16 bytes, and grows where it must', async () => {
    const { log, memory: device } = memory();
    const buffers = new PlanBuffers(device, plan);
    buffers.set({ seq: 5 });
    await buffers.reserve([PHASE]);
    expect(log.splice(0)).toEqual(['a 32', 'b 48', 'c 32', 'd 208']);
    const { generation } = buffers;
    buffers.set({ seq: 4 });
    await buffers.reserve([PHASE]);
    expect([log.splice(0), buffers.generation]).toEqual([[], generation]);
    buffers.set({ seq: 6 });
    await buffers.reserve([PHASE]);
    // those of 32 bytes and 48 have room for 6 · 4 and 6 · 8
    expect(log.splice(0)).toEqual(['-d 208', 'd 240']);
    expect(buffers.generation).toBeGreaterThan(generation);
  });

  it('that was refused is as good as new: less may be asked for', async () => {
    const { log, used, memory: device } = memory(1000);
    const buffers = new PlanBuffers(device, plan);
    buffers.set({ seq: 50 });
    await expect(buffers.reserve([PHASE])).rejects.toThrow('no room for so many tokens');
    expect(used()).toBe(0);
    log.length = 0;
    buffers.set({ seq: 5 });
    await buffers.reserve([PHASE]);
    expect(used()).toBe(320);
  });

  it('beyond what a buffer may have is refused by name', () => {
    const buffers = new PlanBuffers(memory().memory, plan);
    buffers.set({ seq: 100 });
    expect(buffers.grown(3).size).toBe(4000);
    buffers.set({ seq: 101 });
    expect(() => buffers.grown(3)).toThrow(/d needs 4048 bytes in one buffer, this device allows 4000/);
  });
});

describe('by name', () => {
  const buffers = new PlanBuffers(memory().memory, plan);

  it('sizes are 1 until they are set', () => {
    expect([buffers.size('seq'), buffers.capacity]).toEqual([1, 1]);
    buffers.set({ seq: 3, capacity: 9 });
    expect([buffers.size('seq'), buffers.capacity, [...buffers.sizes]]).toEqual([3, 9, [3, 9]]);
    expect(() => buffers.set({ past: 1 })).toThrow(/the plan has no size "past"/);
    expect(() => buffers.size('past')).toThrow(/it has seq, capacity/);
  });

  it('values are ports and stages', () => {
    expect(['x', 'y', 'lm.0'].map((name) => buffers.value(name).buffer)).toEqual([0, 1, 2]);
    expect(() => buffers.value('z')).toThrow(/no phase has a tensor "z"/);
  });

  it('a plan without a cache has room for one', () => {
    expect(new PlanBuffers(memory().memory, { ...plan, symbols: ['seq'] }).capacity).toBe(1);
  });
});
