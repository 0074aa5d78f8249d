import { chromium } from 'playwright-core';
import { rolldown } from 'rolldown';
import { fileURLToPath } from 'node:url';
import { serveFolders } from '../../../backends/browser/static_server.ts';
import { findChromium } from '../../../backends/gpu/chromium.ts';
import { listFiles } from '../../bundle/check_bundle.ts';

/** Milliseconds of each run, in turn. */
export interface InChromium {
  readonly without: readonly number[];
  readonly with: readonly number[];
  /** MB a second: of SubtleCrypto for a buffer of 64 MiB, and of what hashes streams. */
  readonly subtle: number;
  readonly streamed: number;
}

/**
 * All files of a bundle in a page of headless Chromium, by `fetch` and by `verifiedFetch`, from a server on the same
 * machine; undefined where there is no Chromium.
 */
export async function fetchInChromium(dir: string, page: string, runs: number): Promise<InChromium | undefined> {
  const found = findChromium();
  if ('missing' in found) return undefined;
  const bundle = await rolldown({
    input: fileURLToPath(new URL('./in_page.js', import.meta.url)),
    platform: 'browser',
    logLevel: 'silent',
  });
  await bundle.write({ dir: page, format: 'esm' });
  await bundle.close();
  const server = await serveFolders({ '/page/': page, '/bundle/': dir });
  const browser = await chromium.launch({ executablePath: found.value, args: ['--no-sandbox'] });
  try {
    const tab = await browser.newPage();
    await tab.goto(server.url);
    tab.setDefaultTimeout(600_000);
    const paths = JSON.stringify((await listFiles(dir)).map((path) => `/bundle/${path}`));
    return await tab.evaluate<InChromium>(
      `import('/page/in_page.js').then(({ measure }) => measure('/bundle/', ${paths}, ${runs}))`,
    );
  } finally {
    await browser.close();
    await server.close();
  }
}
