import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { withBrowserPage } from '../../verify/environment/browser.ts';
import { itInChromium } from '../../verify/environment/requirement.ts';
import { device, faultyReport } from './testing/reports.ts';
import { verifyHtml } from './verify_html.ts';

/** What lies beyond the right edge of the window, or of its own box: the first words of each. */
const CUT = `[...document.querySelectorAll('h1, h2, p, li, pre, caption span, th, td, figcaption, summary')]
  .filter((element) => {
    const { width, right } = element.getBoundingClientRect();
    return width > 1 && getComputedStyle(element.closest('thead') ?? element).position !== 'absolute' &&
      (right > innerWidth + 1 || element.scrollWidth > element.clientWidth + 1 && getComputedStyle(element).display !== 'inline');
  })
  .map(({ textContent }) => textContent.slice(0, 40))`;

itInChromium('nothing of the page is cut, on a telephone and on a wide screen', async (browser) => {
  const dir = await mkdtemp(join(tmpdir(), 'pgconv-page-layout-'));
  const report = { ...faultyReport, device };
  await writeFile(join(dir, 'page.html'), await verifyHtml({ bundle: '/a/long/path/to/'.repeat(6), report }));
  try {
    await withBrowserPage(browser, { '/page/': dir }, async (page, url) => {
      for (const width of [320, 400, 900, 1400]) {
        await page.setViewportSize({ width, height: 900 });
        await page.goto(`${url}/page/page.html`);
        await page.evaluate(`document.querySelectorAll('details').forEach((each) => (each.open = true))`);
        expect(await page.evaluate(CUT), `${width} px`).toEqual([]);
      }
    });
  } finally {
    await rm(dir, { recursive: true });
  }
});
