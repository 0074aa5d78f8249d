import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect } from 'vitest';
import { pixelValues } from '../../backends/client/images/picture.ts';
import { PIXEL_MODES, PROCESSORS } from '../../backends/client/images/processor.ts';
import { withBrowserPage } from '../../verify/environment/browser.ts';
import { itInChromium } from '../../verify/environment/requirement.ts';
import { bundlePageModule } from '../testing/page_module.ts';

const FOLDER = join(import.meta.dirname, '../../fixtures/preprocess');
const SIZE = 14;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-browser-pictures-'));
  await bundlePageModule(join(import.meta.dirname, '../testing/pictures_page.ts'), root, 'page.js');
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Largest difference between Chromium's and Node's pixel values, in steps of 8 bits, by picture and mode. */
async function differences(browser: string, files: readonly string[]): Promise<ReadonlyMap<string, number>> {
  return withBrowserPage(browser, { '/page/': root, '/pictures/': FOLDER }, async (page, url) => {
    const found = new Map<string, number>();
    for (const file of files)
      for (const mode of PIXEL_MODES) {
        const args = JSON.stringify([`${url}/pictures/${file}`, SIZE, mode]);
        const values: number[] = await page.evaluate(
          `import('/page/page.js').then((module) => module.pixelsOf(...${args}))`,
        );
        const expected = await pixelValues(join(FOLDER, file), SIZE, PROCESSORS[mode]);
        found.set(
          `${file} ${mode}`,
          expected.reduce((most, x, i) => Math.max(most, Math.abs(x - values[i]!) * 127.5), 0),
        );
      }
    return found;
  });
}

itInChromium('a page turns pictures as Node does, and leaves them as Node does', async (browser) => {
  const files = (await readdir(join(FOLDER, 'exif'))).filter((name) => !name.endsWith('.tiff'));
  const found = await differences(
    browser,
    files.map((name) => `exif/${name}`),
  );
  console.log([...found].filter(([, steps]) => steps > 0));
  expect([...found].filter(([, steps]) => steps > 2)).toEqual([]);
});

itInChromium('other pictures', async (browser) => {
  const files = [
    'cmyk.jpg',
    'rgba.png',
    'rgba.webp',
    'palette_transparent.png',
    'rgb_transparent.png',
    'greyalpha.png',
    'rgba16.png',
    'profile.png',
    'profile.jpg',
    'gamma.png',
    'grey16.png',
  ];
  const found = await differences(
    browser,
    files.map((name) => `decode/${name}`),
  );
  console.log([...found]);
});
