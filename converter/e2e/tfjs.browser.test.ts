import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { withBrowserPage } from '../../verify/environment/browser.ts';
import { itInChromium } from '../../verify/environment/requirement.ts';
import { call, recordedInChromium, tfjsPages, TIMEOUT } from '../testing/tfjs_in_chromium.ts';

/*
 * pgconv/tfjs in headless Chromium; its webgpu is SwiftShader here. Whole models on webgl and webgpu are in
 * tfjs.slow_browser.test.ts.
 */

const pages = tfjsPages();
recordedInChromium(pages, [
  ['pg1-tiny', 'wasm'],
  ['pg2-tiny', 'cpu'],
]);

itInChromium(
  'shapes in Chromium on webgpu: int4 that stays packed, pictures by the canvas, text by the tokenizer',
  async (browser) => {
    const { cases } = JSON.parse(await readFile('fixtures/shapes/eval.json', 'utf8')) as {
      readonly cases: readonly { readonly image: string; readonly prompt: string; readonly text: string }[];
    };
    await pages.make('shapes/hf', 'int4', 'shapes');
    await withBrowserPage(
      browser,
      { '/page/': pages.root(), '/images/': 'fixtures/shapes/images' },
      async (page, url) => {
        const { tensors } = await call(page, 'open', `${url}/page/shapes/`, 'webgpu');
        const asked = cases.slice(0, 2);
        expect(
          await call(
            page,
            'ask',
            asked.map(({ image, prompt }) => ({ image: `/images/${image}`, prompt })),
          ),
        ).toEqual(asked.map(({ text }) => text));
        expect(await call(page, 'close')).toBe(tensors);
      },
      { timeout: TIMEOUT },
    );
  },
  TIMEOUT,
);
