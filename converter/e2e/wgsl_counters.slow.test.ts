import { describe, expect } from 'vitest';
import { wgsl } from '../../backends/wgsl/index.ts';
import { testDevice } from '../../backends/wgsl/testing/gpu.ts';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { programIn } from '../bench/gpu/programs.ts';
import { openShaderModel } from '../bench/gpu/shader_model.ts';
import { openModel } from '../models/open_model.ts';

describe('on a device', () => {
  itOnGpu(
    'a chunk of tokens is one pass and one submit, makes no bind group and reads 4 bytes a token',
    async () => {
      const opened = await openModel({ checkpoint: 'fixtures/pg2-tiny/hf' });
      const { graphs, metadata } = await programIn(opened.model.program, 'int8', wgsl);
      // a picture makes no difference to this, and the software GPU takes seconds to compile a product
      const { model, executor, plan } = await openShaderModel(
        { graphs: graphs.filter(({ name }) => name !== 'vision_encoder'), metadata },
        await testDevice(),
      );
      await opened.close();
      const { counters } = executor;
      const [ahead, chunks] = [3, 4];
      const decode = async () => {
        await model.prefill({ rows: [[2, 5, 6, 7]], maxNewTokens: ahead * chunks });
        const before = { ...counters };
        const seen: { readonly tokens: number; readonly bindGroups: number }[] = [];
        for await (const _ of model.decode({ ahead, stopTokenIds: [] }))
          seen.push({ tokens: seen.length + 1, bindGroups: counters.bindGroups });
        return { before, seen, after: { ...counters } };
      };
      const { before, seen, after } = await decode();
      expect(seen).toHaveLength(ahead * chunks);
      expect(after.submits - before.submits).toBe(chunks);
      expect(after.passes - before.passes).toBe(chunks);
      expect(after.readbackBytes - before.readbackBytes).toBe(4 * ahead * chunks);
      expect(
        new Set(seen.map(({ bindGroups }) => bindGroups)).size,
        'after the first chunk all bind groups are there',
      ).toBe(1);
      const steps = ['embed_tokens.step', 'decoder.step'].reduce(
        (sum, name) => sum + plan.phases.find((phase) => phase.name === name)!.steps.length,
        0,
      );
      expect(after.dispatches - before.dispatches, 'greedy sampling is two kernels').toBe(
        (ahead * chunks - 1) * steps + ahead * chunks * 2,
      );
      const again = await decode();
      expect(again.after.bindGroups - again.before.bindGroups, 'those of the sampler').toBeLessThanOrEqual(2);
      executor.dispose();
    },
    600_000,
  );
});
