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
/** Decoders of JPEG and WebP may round differently; Chromium’s and sharp’s give the same today. */
const LIMIT = 1.5;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-browser-pictures-'));
  await bundlePageModule(join(import.meta.dirname, '../testing/pictures_page.ts'), root, 'page.js');
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Pictures whose values in Chromium are others than in Node, with the largest difference in steps of 8 bits. */
function differences(browser: string, files: readonly string[]): Promise<readonly (readonly [string, number])[]> {
  return withBrowserPage(browser, { '/page/': root, '/pictures/': FOLDER }, async (page, url) => {
    const given = JSON.stringify([files.map((file) => `${url}/pictures/${file}`), SIZE]);
    const found: number[][][] = await page.evaluate(
      `import('/page/page.js').then((module) => module.pixelsOf(...${given}))`,
    );
    const differing: [string, number][] = [];
    for (const [i, file] of files.entries())
      for (const [m, mode] of PIXEL_MODES.entries()) {
        const expected = await pixelValues(join(FOLDER, file), SIZE, PROCESSORS[mode]);
        const values = found[i]![m]!;
        const steps = expected.reduce((most, x, k) => Math.max(most, Math.abs(x - values[k]!) * 127.5), 0);
        if (steps > LIMIT) differing.push([`${file} ${mode}`, steps]);
      }
    return differing;
  });
}

/** Of decode/: what has no transparency. */
const OPAQUE = [
  'cmyk.jpg',
  'chroma420.jpg',
  'grey.jpg',
  'progressive.jpg',
  'profile.jpg',
  'profile.png',
  'gamma.png',
  'grey16.png',
  'rgb16.png',
  'bilevel.png',
  'palette.png',
  'rgb.gif',
  'lossy.webp',
];

itInChromium('a page has the pixels of Node: of pictures that EXIF turns, and of others', async (browser) => {
  // browsers read no TIFF
  const turned = (await readdir(join(FOLDER, 'exif'))).filter((name) => !name.endsWith('.tiff'));
  expect(turned.length).toBeGreaterThan(30);
  const files = [...turned.map((name) => `exif/${name}`), ...OPAQUE.map((name) => `decode/${name}`)];
  expect(await differences(browser, files)).toEqual([]);
});
