import { describe, expect } from 'vitest';
import { itOnGpu } from '../../testing/gpu.ts';
import { testDevice } from '../testing/gpu.ts';
import { Executor, type ExecutorOptions } from './executor.ts';
import { toyPlan, TOY } from './testing/toy_model.ts';

const { plan, files } = toyPlan();

function reading(pieces = 7): ExecutorOptions {
  return {
    async *readShard(index) {
      const data = files.get(plan.shards[index]!.path)!;
      for (let at = 0; at < data.length; at += pieces) yield data.subarray(at, at + pieces);
    },
    readShader: async (index) => new TextDecoder().decode(files.get(plan.shaders[index]!.path)),
  };
}

/** Two rows of three tokens, the second of them padded, in a cache with room for more. */
async function prefilled(): Promise<Executor> {
  const executor = await Executor.create(await testDevice(), plan, reading());
  executor.setSizes({ batch_size: 2, seq: 3, past: 0, kept: 1, capacity: 7 });
  executor.write('input_ids', Int32Array.of(3, 4, 5, 0, 6, 7));
  executor.write('attention_mask', Int32Array.of(1, 1, 1, 0, 1, 1));
  executor.write('position_ids', Int32Array.of(1, 2, 3, 1, 1, 2));
  await executor.run('embed_tokens');
  return executor;
}

describe('Executor', () => {
  itOnGpu('weights in odd pieces, phases that share ports, a cache at capacity that comes back packed', async () => {
    const executor = await prefilled();
    await executor.run('decoder');
    const row = (id: number) => [0, 1, 2, 3].map((d) => (id * 7 + d * 3) % 11);
    const present = await executor.read('present.0.key');
    expect(present.shape).toEqual([2, 1, 3, TOY.width]);
    expect([...present.data]).toEqual([3, 4, 5, 0, 6, 7].flatMap(row));
    const mask = await executor.read('attention_mask');
    expect([...mask.data]).toEqual([1, 1, 1, 0, 1, 1]);
    const logits = await executor.read('logits');
    expect(logits.shape).toEqual([2, 1, TOY.columns]);
    const hidden = [3, 4, 5]
      .map(row)
      .flat()
      .reduce((sum, x, i) => sum + x * ((i % 4) + 1), 15);
    expect(logits.data[2]).toBe((hidden * 5 + 4) % 11);
    executor.dispose();
  });

  itOnGpu('a step in place, with the same bind groups once they exist', async () => {
    const executor = await prefilled();
    await executor.run('decoder');
    executor.setSizes({ seq: 1, past: 3 });
    executor.write('input_ids', Int32Array.of(8, 9));
    executor.write('attention_mask', Int32Array.of(1, 1, 1, 1, 0, 1, 1, 1));
    executor.write('position_ids', Int32Array.of(4, 3));
    await executor.run('embed_tokens.step');
    const before = { ...executor.counters };
    await executor.run('decoder.step');
    await executor.run('decoder.step');
    expect(executor.counters.dispatches - before.dispatches).toBe(6);
    expect(executor.counters.submits - before.submits).toBe(2);
    expect(executor.counters.bindGroups - before.bindGroups).toBe(3);
    const { data, shape } = await executor.read('present.0.key');
    expect(shape).toEqual([2, 1, 4, 4]);
    expect([...data.slice(12, 16)]).toEqual([0, 1, 2, 3].map((d) => (8 * 7 + d * 3) % 11));
    expect([...data.slice(0, 4)]).toEqual([0, 1, 2, 3].map((d) => (3 * 7 + d * 3) % 11));
    executor.dispose();
  });

  itOnGpu('stages are copied behind the step that makes them', async () => {
    const executor = await prefilled();
    const stages = await executor.run('decoder', { stages: ['hidden', 'lm.0'] });
    expect([...stages.keys()].sort()).toEqual(['hidden', 'lm.0']);
    expect(stages.get('lm.0')!.shape).toEqual([2, 3, 4]);
    expect(stages.get('hidden')!.data).toHaveLength(2);
    await expect(executor.run('decoder', { stages: ['nothing'] })).rejects.toMatchObject({ code: 'bad_input' });
    executor.dispose();
  });

  itOnGpu('no sizes, no tensor, no phase of that name; wrong lengths; after dispose', async () => {
    const executor = await prefilled();
    expect(() => executor.setSizes({ rows: 1 })).toThrow(expect.objectContaining({ code: 'bad_input' }));
    expect(() => executor.phase('encoder')).toThrow(/decoder\.step/);
    expect(() => executor.write('input_ids', Int32Array.of(1))).toThrow(expect.objectContaining({ code: 'bad_input' }));
    await expect(executor.read('nothing')).rejects.toMatchObject({ code: 'bad_input' });
    executor.setSizes({ seq: 2 ** 24 });
    await expect(executor.run('decoder')).rejects.toMatchObject({ code: 'small_limit' });
    expect(executor.memory.bytes).toBeGreaterThan(1000);
    executor.dispose();
    executor.dispose();
    expect(executor.memory.bytes).toBe(0);
    await expect(executor.run('decoder')).rejects.toMatchObject({ code: 'disposed' });
  });

  itOnGpu('shards that are short or long, shaders that do not compile', async () => {
    const device = await testDevice();
    const shard = (bytes: number) => ({
      ...reading(),
      async *readShard() {
        yield new Uint8Array(bytes);
      },
    });
    await expect(Executor.create(device, plan, shard(255))).rejects.toMatchObject({ code: 'damaged' });
    await expect(Executor.create(device, plan, shard(261))).rejects.toMatchObject({ code: 'damaged' });
    await expect(
      Executor.create(device, plan, { ...reading(), readShader: async () => 'fn main( {' }),
    ).rejects.toMatchObject({ code: 'bad_shader', message: expect.stringMatching(/shaders\/.*line 1/) });
    const variants = [{ shader: 0, features: ['shader-f16', 'a-feature'] }];
    await expect(
      Executor.create(device, { ...plan, pipelines: [{ variants, access: [] }] }, reading()),
    ).rejects.toMatchObject({ code: 'missing_feature', message: expect.stringContaining('a-feature') });
  });
});
