import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect } from 'vitest';
import { withBrowserPage, type Page } from '../../verify/environment/browser.ts';
import { itInChromium } from '../../verify/environment/requirement.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { bundlePageModule } from '../testing/page_module.ts';
import type { Outcome } from '../testing/transformers_page.ts';

/* A bundle in transformers.js in a browser, whose files are held to manifest.json by pgconv/integrity. */

/** The runtime that transformers.js brings is another than ours. */
const ORT = dirname(
  createRequire(createRequire(import.meta.url).resolve('@huggingface/transformers')).resolve('onnxruntime-web'),
);
const QUESTION = { image: '/images/001.png', prompt: 'answer en how many shapes are there?' };

let root: string;
let bundle: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-transformers-'));
  await mkdir(join(root, 'page'));
  await bundlePageModule(
    fileURLToPath(new URL('../testing/transformers_page.ts', import.meta.url)),
    join(root, 'page'),
    'page.js',
  );
  const out = join(root, 'shapes');
  await convert(
    { checkpoint: 'fixtures/shapes', backend: 'onnx', precision: 'fp32', out, verify: false },
    silentReporter,
  );
  bundle = out;
}, 60_000);
afterAll(() => rm(root, { recursive: true, force: true }));

const call = <T>(page: Page, name: string, ...args: readonly unknown[]): Promise<T> =>
  page.evaluate<T>(`import('/page/page.js').then((own) => own.${name}(...${JSON.stringify(args)}))`);

const ask = (page: Page) => call<Outcome>(page, 'ask', 'shapes', QUESTION);

async function flip(path: string): Promise<() => Promise<void>> {
  const file = join(bundle, path);
  const bytes = await readFile(file);
  const spoilt = Buffer.from(bytes);
  spoilt[bytes.length >> 1]! ^= 16;
  await writeFile(file, spoilt);
  return () => writeFile(file, bytes);
}

itInChromium(
  'answers from a sound bundle, from what it kept, and from a fresh file where that is damaged; else it names the file',
  async (browser) => {
    const folders = {
      '/page/': join(root, 'page'),
      '/models/shapes/': bundle,
      '/images/': 'fixtures/shapes/images',
      '/ort/': ORT,
    };
    await withBrowserPage(
      browser,
      folders,
      async (page) => {
        const weights = 'onnx/decoder_model_merged.onnx_data';
        for (const path of [weights, 'onnx/vision_encoder.onnx', 'tokenizer.json', 'generation_config.json']) {
          const mend = await flip(path);
          expect(await ask(page), path).toEqual({
            error: {
              name: 'RuntimeError',
              code: 'damaged',
              message: expect.stringContaining(`/models/shapes/${path} is not what was written`) as string,
            },
          });
          await mend();
          await call(page, 'forget');
        }
        expect(await ask(page)).toEqual({ answer: 'one' });
        expect(await call(page, 'kept')).toContain(`/models/shapes/${weights}`);
        // it is kept
        const mend = await flip(weights);
        expect(await ask(page)).toEqual({ answer: 'one' });
        await call(page, 'spoil', `/models/shapes/${weights}`);
        expect(await ask(page)).toMatchObject({ error: { code: 'damaged' } });
        await mend();
        expect(await ask(page)).toEqual({ answer: 'one' });
      },
      { timeout: 120_000 },
    );
  },
  180_000,
);
