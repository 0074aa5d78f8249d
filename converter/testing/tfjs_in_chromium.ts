import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { withBrowserPage, type Page } from '../../verify/environment/browser.ts';
import { itInChromium } from '../../verify/environment/requirement.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { differences, pageCase, type PageResult } from './page_case.ts';
import { bundlePageModule } from './page_module.ts';
import { readRecording } from './recording.ts';
import type * as tfjsPage from './tfjs_page.ts';
import type { PageBackend } from './tfjs_page.ts';

/** Of the contract, as in tfjs.gpu.test.ts. */
const LIMIT = 1e-3;
export const TIMEOUT = 300_000;

/** A function of the page module, called in the page. */
export function call<K extends keyof typeof tfjsPage>(
  page: Page,
  name: K,
  ...given: Parameters<(typeof tfjsPage)[K]>
): Promise<Awaited<ReturnType<(typeof tfjsPage)[K]>>> {
  // a text: Vitest would rewrite import() in a function
  return page.evaluate(`import('/page/page.js').then((module) => module.${name}(...${JSON.stringify(given)}))`);
}

/** Files that the wasm backend fetches. */
export const WASM = join(
  dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-backend-wasm/package.json')),
  'wasm-out',
);

/** A folder with the page's module and bundles, for the tests of a file. */
export function tfjsPages() {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'pgconv-browser-tfjs-'));
    await bundlePageModule(join(import.meta.dirname, 'tfjs_page.ts'), root, 'page.js');
  }, 120_000);
  afterAll(() => rm(root, { recursive: true, force: true }));
  const make = (checkpoint: string, precision: Precision, name: string) =>
    convert(
      {
        checkpoint: `fixtures/${checkpoint}`,
        backend: 'tfjs',
        precision,
        out: join(root, name),
        verify: false,
        layersPerGraph: 1,
      },
      silentReporter,
    );
  return { make, root: () => root };
}

/** Tests of the driver in headless Chromium, on what the originals were recorded to compute. */
export function recordedInChromium(
  { make, root }: ReturnType<typeof tfjsPages>,
  runs: readonly (readonly [fixture: string, backend: PageBackend])[],
): void {
  for (const [fixture, backend] of runs)
    itInChromium(
      `${fixture} in Chromium on ${backend}: features, logits, a left-padded batch and greedy tokens as recorded`,
      async (browser) => {
        const { cases, reference } = await readRecording(`fixtures/${fixture}`);
        const name = `${fixture}-${backend}`;
        await make(`${fixture}/hf`, 'fp32', name);
        await withBrowserPage(
          browser,
          { '/page/': root(), '/wasm/': WASM },
          async (page, url) => {
            const { imageTokenId, tensors } = await call(page, 'open', `${url}/page/${name}/`, backend);
            for (const verifyCase of cases) {
              const found: PageResult = await call(page, 'run', pageCase(verifyCase, imageTokenId));
              const { features, logits, tokens } = differences(found, reference.outcomes.get(verifyCase.name)!);
              expect(Math.max(features, logits), verifyCase.name).toBeLessThan(LIMIT);
              expect(tokens, verifyCase.name).toBe(true);
            }
            expect(await call(page, 'close')).toBe(tensors);
            // by their addresses alone, without anything of ours
            const [vision, decoder, head] = await Promise.all(
              ['vision', 'decoder_01', 'head_00'].map((folder) =>
                call(page, 'stock', `${url}/page/${name}/${folder}/model.json`),
              ),
            );
            expect(vision).toEqual({ inputs: ['pixel_values'], outputs: ['image_features'] });
            expect(decoder!.inputs).toEqual(
              expect.arrayContaining(['past', 'past_key_values.1.key', 'past_key_values.1.value']),
            );
            expect(head!.outputs).toEqual(expect.arrayContaining(['logits.0.best', 'logits.0.max']));
          },
          { timeout: TIMEOUT },
        );
      },
      TIMEOUT,
    );
}
