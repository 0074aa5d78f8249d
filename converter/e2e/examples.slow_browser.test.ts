import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect } from 'vitest';
import { withBrowserPage } from '../../verify/environment/browser.ts';
import { itInChromium } from '../../verify/environment/requirement.ts';
import { convert } from '../compile/convert.ts';
import { packAll } from '../packing/pack.ts';
import { silentReporter } from '../terminal/reporter.ts';

/* The examples, copied out of the tree, with the packed package in their node_modules. */

const run = promisify(execFile);
const PICTURE = 'fixtures/shapes/images/005.png';
const CAPTION = 'a purple triangle and a red circle and a yellow square';
const TIMEOUT = 600_000;
/** Of the page: shaders compile on the CPU for the longest. */
const STEP_TIMEOUT = 300_000;
let root: string;
let tarball: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-examples-'));
  const [packed] = await packAll(resolve('.'), join(root, 'packed'));
  tarball = packed!.path;
}, 120_000);
afterAll(() => rm(root, { recursive: true, force: true }));

/** An example in a folder of its own, with its dependencies and a bundle. */
async function installed(name: string, backend: string): Promise<{ readonly dir: string; readonly bundle: string }> {
  const [dir, bundle] = [join(root, name), join(root, `${name}-bundle`)];
  await cp(join('examples', name), dir, { recursive: true });
  // the package is in no registry
  await run('npm', ['pkg', 'set', `dependencies.pgconv=file:${tarball}`], { cwd: dir });
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts'], { cwd: dir });
  await convert(
    { checkpoint: 'fixtures/shapes', backend, precision: 'fp32', out: bundle, verify: false },
    silentReporter,
  );
  return { dir, bundle };
}

/** What the built page answers when a picture is given to it. */
async function answerOfPage(endpoint: string, name: string, backend: string): Promise<string> {
  const { dir, bundle } = await installed(name, backend);
  await run('npm', ['run', 'build'], { cwd: dir });
  return withBrowserPage(
    endpoint,
    { '/page/': join(dir, 'dist'), '/bundle/': bundle },
    async (page, url) => {
      await page.goto(`${url}/page/index.html?bundle=/bundle/`);
      await page.getByLabel('picture').setInputFiles(PICTURE);
      await page.getByLabel('prompt').fill('caption en');
      // a model that fails to load is told by the page, and not waited for
      await page.waitForFunction(
        "!document.querySelector('button').disabled || !/load|compil/i.test(document.querySelector('[role=status]').textContent)",
      );
      await page.getByRole('button', { name: 'Ask' }).click({ timeout: 10_000 });
      const output = page.locator('output');
      await page.waitForFunction("document.querySelector('output')?.textContent.endsWith('square')");
      return (await output.textContent())!;
    },
    { timeout: STEP_TIMEOUT },
  );
}

itInChromium(
  'vite-worker: a page asks pgconv/runtime in a worker',
  async (endpoint) => expect(await answerOfPage(endpoint, 'vite-worker', 'wgsl')).toBe(CAPTION),
  TIMEOUT,
);

itInChromium(
  'react-hook: a component asks pgconv/tfjs in a worker',
  async (endpoint) => expect(await answerOfPage(endpoint, 'react-hook', 'tfjs')).toBe(CAPTION),
  TIMEOUT,
);
