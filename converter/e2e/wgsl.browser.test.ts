import { cp, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { withBrowserPage, type Page } from '../../verify/environment/browser.ts';
import { itInChromium } from '../../verify/environment/requirement.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { differences, pageCase, type PageResult } from '../testing/page_case.ts';
import { bundlePageModule } from '../testing/page_module.ts';
import { readRecording } from '../testing/recording.ts';
import type * as wgslPage from '../testing/wgsl_page.ts';

/*
 * pgconv/runtime in headless Chromium, whose WebGPU is SwiftShader here: the goldens again, and what only browsers
 * have.
 */

/** Of the contract, as in wgsl.test.ts. */
const LIMIT = 1e-4;
/** Compiling shaders takes most of it. */
const TIMEOUT = 600_000;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-browser-wgsl-'));
  await bundlePageModule(join(import.meta.dirname, 'testing/wgsl_page.ts'), root, 'page.js');
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
  'pg1-tiny in Chromium: as recorded, and again when the device was lost; a shard cut short, a flipped bit and an abort are errors by name',
  async (browser) => {
    const { cases, reference } = await readRecording('fixtures/pg1-tiny');
    const bundle = await make('pg1-tiny/hf', 'pg1-tiny');
    const [shard] = (await readdir(join(bundle, 'weights'))).map((name) => `weights/${name}`) as [string];
    for (const name of ['short', 'flipped']) await cp(bundle, join(root, name), { recursive: true });
    await truncate(join(root, 'short', shard), 1000);
    const bytes = await readFile(join(bundle, shard));
    bytes[bytes.length >> 1]! ^= 1;
    await writeFile(join(root, 'flipped', shard), bytes);
    await withBrowserPage(
      browser,
      { '/page/': root },
      async (page, url) => {
        expect(await call(page, 'failure', `${url}/page/short/`, 'load')).toBe('RuntimeError damaged');
        expect(await call(page, 'failure', `${url}/page/flipped/`, 'load')).toBe('RuntimeError damaged');
        expect(await call(page, 'failure', `${url}/page/none/`, 'load')).toBe('RuntimeError not_found');
        expect(await call(page, 'failure', `${url}/page/pg1-tiny/`, 'abort')).toBe('Error enough');
        await expectGoldens(page, url, 'pg1-tiny');
        const [verifyCase] = cases;
        const { program } = JSON.parse(await readFile(join(bundle, 'manifest.json'), 'utf8')) as {
          readonly program: { readonly imageTokenId: number };
        };
        const { rows, pictures, ...rest } = pageCase(verifyCase!, program.imageTokenId);
        const { error, tokens } = await call(page, 'loseDevice', {
          ...rest,
          rows: rows.slice(0, 1),
          pictures: pictures.slice(0, 1),
        });
        expect(error).toBe('device_lost');
        expect(tokens).toEqual(reference.outcomes.get(verifyCase!.name)!.greedy!.tokens[0]);
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
