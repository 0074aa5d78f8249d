import { readFile } from 'node:fs/promises';
import { expect } from 'vitest';
import { withBrowserPage } from '../../verify/environment/browser.ts';
import { itInChromium } from '../../verify/environment/requirement.ts';
import { call, recordedInChromium, tfjsPages, TIMEOUT, WASM } from '../testing/tfjs_in_chromium.ts';

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
        // with 4 bits in every matrix another circle is named in the first, in every runtime
        const asked = cases.slice(1, 3);
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

for (const backend of ['cpu', 'wasm'] as const)
  itInChromium(
    `while shapes answers on ${backend} its page paints, and an abort acts`,
    async (browser) => {
      const { cases } = JSON.parse(await readFile('fixtures/shapes/eval.json', 'utf8')) as {
        readonly cases: readonly { readonly image: string; readonly prompt: string; readonly text: string }[];
      };
      // the longest answer: of one token nothing can be aborted
      const { image, prompt, text } = cases.toSorted((a, b) => b.text.length - a.text.length)[0]!;
      const question = { image: `/images/${image}`, prompt };
      await pages.make('shapes/hf', 'fp32', `shapes-${backend}`);
      await withBrowserPage(
        browser,
        { '/page/': pages.root(), '/images/': 'fixtures/shapes/images', '/wasm/': WASM },
        async (page, url) => {
          const { tensors } = await call(page, 'open', `${url}/page/shapes-${backend}/`, backend);
          const whole = await call(page, 'paint', question);
          expect(whole.pieces).toBeGreaterThan(4);
          // one, when nothing let the page
          expect(whole.frames).toBeGreaterThan(3);
          const aborted = await call(page, 'abort', question);
          expect(aborted.reason).toBe('the user left');
          expect(aborted.pieces).toBeLessThan(whole.pieces);
          // and the model can be asked again
          expect((await call(page, 'paint', question)).pieces).toBe(whole.pieces);
          expect(await call(page, 'close')).toBe(tensors);
          const inWorker = { image: `${url}${question.image}`, prompt };
          expect(await call(page, 'askInWorker', `${url}/page/shapes-${backend}/`, backend, inWorker)).toBe(text);
        },
        { timeout: TIMEOUT },
      );
    },
    TIMEOUT,
  );
