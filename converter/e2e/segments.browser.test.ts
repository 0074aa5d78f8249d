import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { afterAll, beforeAll, expect } from 'vitest';
import { withBrowserPage } from '../../verify/environment/browser.ts';
import { itInChromium } from '../../verify/environment/requirement.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { bundlePageModule } from '../testing/page_module.ts';

/* A page that draws what a bundle in transformers.js answers, by pgconv/answers alone, beside a stored picture. */

const require = createRequire(import.meta.url);
const dist = (from: string) => dirname(createRequire(from).resolve('onnxruntime-web'));
/** transformers.js brings a runtime of another version. */
const ORT = dist(require.resolve('@huggingface/transformers'));
const MASKS_ORT = dist(import.meta.url);

const SEGMENTS = 'fixtures/segments';
const STORED = `${SEGMENTS}/drawn.png`;

/**
 * Share of pixels that may differ from the stored picture: letters of the name, about 1 % of it, are in a font of the
 * machine's, and browsers smooth an enlarged picture each in its way. The mask alone is 13 %.
 */
const OTHER_PIXELS = 0.02;
/** Of 255. */
const SAME = 16;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-segments-'));
  await mkdir(join(root, 'page'));
  await bundlePageModule(
    fileURLToPath(new URL('../testing/segments_page.ts', import.meta.url)),
    join(root, 'page'),
    'page.js',
  );
  await convert(
    {
      checkpoint: `${SEGMENTS}/hf`,
      maskDecoder: `${SEGMENTS}/vae-oid.npz`,
      backend: 'onnx',
      precision: 'fp32',
      out: join(root, 'segments'),
      verify: false,
    },
    silentReporter,
  );
}, 60_000);
afterAll(() => rm(root, { recursive: true, force: true }));

itInChromium(
  'boxes, masks and names of an answer by transformers.js look as they did',
  async (browser) => {
    const { cases } = JSON.parse(await readFile(`${SEGMENTS}/eval.json`, 'utf8')) as {
      cases: readonly { readonly image: string; readonly prompt: string; readonly text: string }[];
    };
    const { image, prompt, text: expected } = cases[0]!;
    const folders = {
      '/page/': join(root, 'page'),
      '/models/segments/': join(root, 'segments'),
      '/images/': `${SEGMENTS}/images`,
      '/ort/': ORT,
      '/masks-ort/': MASKS_ORT,
    };
    const { text, picture } = await withBrowserPage(
      browser,
      folders,
      (page) =>
        page.evaluate<{ readonly text: string; readonly picture: string }>(
          `import('/page/page.js').then((own) => own.drawAnswer('segments', ${JSON.stringify({ image: `/images/${image}`, prompt })}))`,
        ),
      { timeout: 120_000 },
    );
    expect(text).toBe(expected);
    const png = Buffer.from(picture.slice(picture.indexOf(',') + 1), 'base64');
    if (process.env['UPDATE_GOLDEN']) await writeFile(STORED, png);
    const [drawn, stored] = await Promise.all(
      [png, STORED].map((source) => sharp(source).removeAlpha().raw().toBuffer({ resolveWithObject: true })),
    );
    expect(drawn!.info).toMatchObject({ width: 448, height: 448 });
    expect(otherPixels(drawn!.data, stored!.data)).toBeLessThan(OTHER_PIXELS);
    // what would be told: the picture alone
    const bare = await sharp(`${SEGMENTS}/images/${image}`).resize(448, 448).removeAlpha().raw().toBuffer();
    expect(otherPixels(bare, stored!.data)).toBeGreaterThan(5 * OTHER_PIXELS);
  },
  180_000,
);

/** Share of RGB pixels that are apart. */
function otherPixels(a: Uint8Array, b: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < a.length; at += 3) if ([0, 1, 2].some((c) => Math.abs(a[at + c]! - b[at + c]!) > SAME)) count++;
  return count / (a.length / 3);
}
