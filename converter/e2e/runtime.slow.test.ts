import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { load } from '../../backends/wgsl/runtime/index.ts';
import { bundleDevice } from '../../backends/wgsl/testing/bundle_device.ts';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';

/* pgconv/runtime on bundles that the converter writes: what a user's program does. */

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-runtime-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const bundleOf = async (checkpoint: string, out: string) =>
  (
    await convert(
      { checkpoint: `fixtures/${checkpoint}`, backend: 'wgsl', precision: 'fp32', out: join(root, out), verify: false },
      silentReporter,
    )
  ).out;

/** On the device of the other tests, which has compiled most of it. */
const loadShared = async (bundle: string) => load(bundle, { device: await bundleDevice(bundle) });

interface Asked {
  readonly image: string;
  readonly prompt: string;
  readonly text: string;
}

describe('shapes', () => {
  itOnGpu(
    'answers as the original did, piece by piece, from a picture file or from features',
    async () => {
      const { cases } = JSON.parse(await readFile('fixtures/shapes/eval.json', 'utf8')) as {
        readonly cases: readonly Asked[];
      };
      const model = await loadShared(await bundleOf('shapes/hf', 'shapes'));
      for (const { image, prompt, text } of cases.slice(0, 4)) {
        const pieces: string[] = [];
        for await (const piece of model.generate({
          image: `fixtures/shapes/images/${image}`,
          prompt,
          maxNewTokens: 40,
        }))
          pieces.push(piece);
        expect(pieces.join('')).toBe(text);
      }
      const [{ image, prompt, text }] = cases as readonly [Asked];
      const features = await model.encodeImage(await readFile(`fixtures/shapes/images/${image}`));
      const held = model.memory.bytes;
      let said = '';
      for await (const piece of model.generate({ image: features, prompt, maxNewTokens: 40, ahead: 3 })) said += piece;
      expect(said).toBe(text);
      expect(model.memory.bytes).toBe(held);
      await model.dispose();
      expect(model.memory.bytes).toBe(0);
    },
    600_000,
  );
});
