import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { load } from '../../backends/wgsl/runtime/index.ts';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';

/* Masks by pgconv/runtime, while an answer is generated. */

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-segments-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

itOnGpu(
  'pgconv/runtime yields objects with masks',
  async () => {
    const out = join(root, 'segments');
    await convert(
      {
        checkpoint: 'fixtures/segments/hf',
        backend: 'wgsl',
        precision: 'fp32',
        maskDecoder: 'fixtures/segments/vae-oid.npz',
        verify: false,
        out,
      },
      silentReporter,
    );
    const model = await load(out);
    try {
      const objects = [];
      const options = { image: 'fixtures/segments/images/000.png', prompt: 'segment blue square', maxNewTokens: 26 };
      for await (const object of model.generateObjects({ ...options, ahead: 4 })) objects.push(object);
      expect(objects).toMatchObject([{ name: 'blue square', box: { y0: 0, x0: 0, y1: 512, x1: 512 } }]);
      const [{ codes, mask }] = objects as [(typeof objects)[number]];
      expect(mask).toHaveLength(64 * 64);
      expect((await model.decodeMasks([codes!]))[0]).toEqual(mask);
    } finally {
      await model.dispose();
    }
  },
  240_000,
);
