import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { toyBundle } from '../../backends/wgsl/runtime/testing/toy_bundle.ts';
import { toyTokens } from '../../backends/wgsl/runtime/testing/toy_model.ts';
import { withBrowserPage, type Page } from '../../verify/environment/browser.ts';
import { itInChromium } from '../../verify/environment/requirement.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { differences, pageCase, type PageResult } from '../testing/page_case.ts';
import { bundlePageModule } from '../testing/page_module.ts';
import { readRecording } from '../testing/recording.ts';
import type * as wgslPage from '../testing/wgsl_page.ts';

/*
 * pgconv/runtime in headless Chromium, whose WebGPU is SwiftShader here: the goldens of one model again, of which the
 * shaders and the driver are those of wgsl.gpu.test.ts, and what only browsers have. Faults are shown on a model whose
 * shaders compile at once.
 */

/** Of the contract, as in wgsl.gpu.test.ts. */
const LIMIT = 1e-4;
/** Compiling shaders takes most of it. */
const TIMEOUT = 600_000;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-browser-wgsl-'));
  await bundlePageModule(join(import.meta.dirname, '../testing/wgsl_page.ts'), root, 'page.js');
}, 120_000);
afterAll(() => rm(root, { recursive: true, force: true }));

const make = async (checkpoint: string, name: string) =>
  (
    await convert(
      {
        checkpoint: `fixtures/${checkpoint}`,
        backend: 'wgsl',
        precision: 'fp32',
        out: join(root, name),
        verify: false,
      },
      silentReporter,
    )
  ).out;

async function writeFiles(folder: string, files: ReadonlyMap<string, Uint8Array>): Promise<void> {
  for (const [path, data] of files) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), data);
  }
}

/** A function of the page module, called in the page. */
function call<K extends keyof typeof wgslPage>(
  page: Page,
  name: K,
  ...given: Parameters<(typeof wgslPage)[K]>
): Promise<Awaited<ReturnType<(typeof wgslPage)[K]>>> {
  // a text: Vitest would rewrite import() in a function
  return page.evaluate(`import('/page/page.js').then((module) => module.${name}(...${JSON.stringify(given)}))`);
}

/** The goldens in a page, which keeps the model open. */
async function expectGoldens(page: Page, url: string, fixture: string): Promise<void> {
  const { cases, reference } = await readRecording(`fixtures/${fixture}`);
  const { imageTokenId, adapter, choices } = await call(page, 'open', `${url}/page/${fixture}/`);
  expect(adapter).not.toBe('');
  // what runs is the best, or there is a reason
  for (const { shader, reason, features } of choices)
    expect(reason !== '' || features.length > 0 || !shader.includes('matvec'), shader).toBe(true);
  for (const verifyCase of cases) {
    const found: PageResult = await call(page, 'run', pageCase(verifyCase, imageTokenId));
    const { features, logits, tokens } = differences(found, reference.outcomes.get(verifyCase.name)!);
    expect(Math.max(features, logits), verifyCase.name).toBeLessThan(LIMIT);
    expect(tokens, verifyCase.name).toBe(true);
  }
}

itInChromium(
  'pg2-tiny in Chromium: features, logits, a left-padded batch and greedy tokens as recorded',
  async (browser) => {
    await make('pg2-tiny/hf', 'pg2-tiny');
    await withBrowserPage(
      browser,
      { '/page/': root },
      async (page, url) => {
        await expectGoldens(page, url, 'pg2-tiny');
        expect(await call(page, 'close')).toBe(0);
      },
      { timeout: TIMEOUT },
    );
  },
  TIMEOUT,
);

itInChromium(
  'the toy in Chromium: its tokens, and again when the device was lost; a shard cut short, a flipped bit and an abort are errors by name',
  async (browser) => {
    const shard = 'weights/1.bin';
    const files = await toyBundle();
    const bytes = files.get(shard)!;
    const flipped = bytes.slice();
    flipped[flipped.length >> 1]! ^= 1;
    await writeFiles(join(root, 'toy'), files);
    await writeFiles(join(root, 'short'), new Map([...files, [shard, bytes.slice(0, -5)]]));
    await writeFiles(join(root, 'flipped'), new Map([...files, [shard, flipped]]));
    const prompt = [2, 3, 5];
    await withBrowserPage(
      browser,
      { '/page/': root },
      async (page, url) => {
        expect(await call(page, 'failure', `${url}/page/short/`, 'load')).toBe('RuntimeError damaged');
        expect(await call(page, 'failure', `${url}/page/flipped/`, 'load')).toBe('RuntimeError damaged');
        expect(await call(page, 'failure', `${url}/page/none/`, 'load')).toBe('RuntimeError not_found');
        expect(await call(page, 'failure', `${url}/page/toy/`, 'abort')).toBe('Error enough');
        await call(page, 'open', `${url}/page/toy/`);
        const { error, tokens } = await call(page, 'loseDevice', {
          name: 'toy',
          rows: [prompt],
          pictures: [],
          steps: 4,
        });
        expect(error).toBe('device_lost');
        expect(tokens).toEqual(toyTokens([prompt], [], 4)[0]);
        expect(await call(page, 'close')).toBe(0);
      },
      { timeout: TIMEOUT },
    );
  },
  TIMEOUT,
);

itInChromium(
  'shapes in Chromium: pictures by the canvas, text by the tokenizer; the second time weights come from OPFS',
  async (browser) => {
    const { cases } = JSON.parse(await readFile('fixtures/shapes/eval.json', 'utf8')) as {
      readonly cases: readonly { readonly image: string; readonly prompt: string; readonly text: string }[];
    };
    await make('shapes/hf', 'shapes');
    await withBrowserPage(
      browser,
      { '/page/': root, '/images/': 'fixtures/shapes/images' },
      async (page, url) => {
        const asked: string[] = [];
        page.on('request', (request) => asked.push(request.url()));
        const weights = () => asked.filter((address) => address.includes('/weights/')).length;
        const { cache } = await call(page, 'open', `${url}/page/shapes/`);
        const fetched = weights();
        expect(fetched).toBeGreaterThan(0);
        expect(cache).toEqual({ hits: 0, stored: fetched, problem: undefined });
        const questions = cases.slice(0, 2).map(({ image, prompt }) => ({ image: `/images/${image}`, prompt }));
        expect(await call(page, 'ask', questions)).toEqual(cases.slice(0, 2).map(({ text }) => text));
        expect(await call(page, 'close')).toBe(0);
        // all weights come, and no request is made for them; the shaders need not compile again
        expect(await call(page, 'failure', `${url}/page/shapes/`, 'weights')).toBe('Error enough');
        expect(weights()).toBe(fetched);
      },
      { timeout: TIMEOUT },
    );
  },
  TIMEOUT,
);
