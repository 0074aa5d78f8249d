import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { load } from '../../backends/wgsl/runtime/index.ts';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { readRecording } from '../testing/recording.ts';

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
      const model = await load(await bundleOf('shapes/hf', 'shapes'));
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

describe.each(['pg1-tiny', 'pg2-tiny'])('%s', (fixture) => {
  itOnGpu(
    'a padded batch says the recorded tokens, however many are ahead',
    async () => {
      const { cases, reference } = await readRecording(`fixtures/${fixture}`);
      const model = await load(await bundleOf(`${fixture}/hf`, fixture));
      const { imageSize, imageTokenId } = model.facts;
      for (const { name, inputIds, attentionMask, pixelValues, imageTokenId: recorded, maxNewTokens } of cases) {
        const [batch, length] = inputIds.shape as [number, number];
        const rows = Array.from({ length: batch }, (_, row) =>
          Array.from({ length }, (_, t) => row * length + t).flatMap((i) =>
            attentionMask.data[i] === 0 ? [] : [inputIds.data[i] === recorded ? imageTokenId : inputIds.data[i]!],
          ),
        );
        const pixels = 3 * imageSize * imageSize;
        const pictures = Array.from({ length: pixelValues.shape[0]! }, (_, i) =>
          Float32Array.from(pixelValues.data.subarray(i * pixels, (i + 1) * pixels)),
        );
        const images = [];
        for (const picture of pictures) images.push(await model.encodePixels(picture));
        await model.prefill({ rows, images, maxNewTokens });
        const tokens: (number | undefined)[][] = rows.map(() => []);
        for await (const step of model.decode({ stopTokenIds: [], ahead: 3 }))
          step.forEach((token, row) => tokens[row]!.push(token));
        expect(tokens, name).toEqual(reference.outcomes.get(name)!.greedy!.tokens);
        for (const features of images) features.destroy();
      }
      await model.dispose();
    },
    600_000,
  );
});
