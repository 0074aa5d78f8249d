import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { load } from '../../backends/wgsl/runtime/index.ts';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { fullPrompt, longModel, POSITIONS, shortBundle } from '../testing/short_model.ts';

itOnGpu(
  'pgconv/runtime reads a prompt that takes every position, and computes what a model of many more does',
  async () => {
    const root = await mkdtemp(join(tmpdir(), 'pgconv-last-position-'));
    try {
      await using reference = await longModel();
      const { prompt, logits } = await fullPrompt(reference);
      expect(prompt.inputIds.shape).toEqual([1, POSITIONS]);
      const model = await load(await shortBundle(root, 'wgsl'));
      try {
        const images = [await model.encodePixels(Float32Array.from(prompt.pixelValues.data))];
        await model.prefill({ rows: [[...prompt.inputIds.data]], images, maxNewTokens: 1 });
        const { data } = await model.logits();
        data.forEach((logit, i) => expect(Math.abs(logit - logits[i]!), `logit ${i}`).toBeLessThan(1e-4));
      } finally {
        await model.dispose();
      }
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  },
  600_000,
);
