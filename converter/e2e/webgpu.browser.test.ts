import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { withBrowserPage } from '../../verify/environment/browser.ts';
import { itInChromium } from '../../verify/environment/requirement.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { readRecording } from '../testing/recording.ts';

/*
 * The fp32 bundles of webgpu.gpu.test.ts in a browser. The greedy tokens of pg2-tiny are all the same, so that it is
 * asked for those of pg2-28b-tiny.
 */
const ORT_WEB = dirname(createRequire(import.meta.url).resolve('onnxruntime-web'));
const PAGE = fileURLToPath(new URL('../testing/', import.meta.url));
const NEW_TOKENS = 12;

interface PageResult {
  readonly adapter: string;
  readonly dispatches: number;
  readonly answer: number[];
}

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-webgpu-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe.each(['pg1-tiny', 'pg2-28b-tiny'])('%s', (fixture) => {
  itInChromium(
    'onnxruntime-web on WebGPU in headless Chromium says the recorded tokens',
    async (browser) => {
      const { out: bundle } = await convert(
        {
          checkpoint: `fixtures/${fixture}/hf`,
          backend: 'onnx',
          precision: 'fp32',
          out: join(root, fixture),
          verify: false,
        },
        silentReporter,
      );
      const { cases, reference } = await readRecording(`fixtures/${fixture}`);
      const prompt = cases[0]!;
      const length = prompt.inputIds.shape[1]!;
      const size = prompt.pixelValues.shape[2]!;
      // the row whose tokens differ without the softcap
      const row = 1;
      const input = {
        names: { vision: 'vision_encoder', embed: 'embed_tokens', decoder: 'decoder_model_merged' },
        ids: [...prompt.inputIds.data.subarray(row * length, (row + 1) * length)],
        pixels: [...prompt.pixelValues.data.subarray(row * 3 * size * size, (row + 1) * 3 * size * size)],
        imageSize: size,
        imageTokenId: prompt.imageTokenId,
        steps: NEW_TOKENS,
      };
      const result = await withBrowserPage(
        browser,
        { '/ort/': ORT_WEB, '/bundle/': bundle, '/page/': PAGE },
        (page) =>
          page.evaluate<PageResult>(
            `import('/page/decode_in_page.js').then(({ decode }) => decode(${JSON.stringify(input)}))`,
          ),
        { timeout: 300_000 },
      );
      expect(result.adapter).toBe('swiftshader');
      expect(result.dispatches).toBeGreaterThan(100);
      expect(result.answer).toEqual(reference.outcomes.get(prompt.name)!.greedy!.tokens[row]!.slice(0, NEW_TOKENS));
    },
    300_000,
  );
});
