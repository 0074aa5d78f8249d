import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type Page } from 'playwright-core';
import { findChromium } from './chromium.ts';
import { serveFolders, type Folders } from './static_server.ts';

export type { Page } from 'playwright-core';

/** WebGPU without a GPU, no sandbox (which containers and root do not allow), and no traffic of the browser's own. */
const FLAGS = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-quic',
  '--no-first-run',
];

export interface BrowserOptions {
  /** Path of the browser; default what `findChromium` finds. */
  readonly executable?: string;
  /** Most that one step of the page may take, in milliseconds. */
  readonly timeout?: number;
}

/**
 * Opens an empty page in a fresh headless Chromium whose WebGPU runs in software, with `folders` served beside it, and
 * closes everything after `use`. The page is cross-origin isolated, so WebAssembly threads work. It reaches nothing but
 * `baseUrl`.
 * @param folders URL prefix to folder: `{ '/bundle/': dir }` serves dir/a.onnx as `${baseUrl}/bundle/a.onnx`
 * @throws Error with what the page printed to its console, when `use` fails or an exception goes uncaught in the page
 */
export async function withBrowserPage<T>(
  folders: Folders,
  use: (page: Page, baseUrl: string) => Promise<T>,
  options: BrowserOptions = {},
): Promise<T> {
  const found = options.executable === undefined ? findChromium() : { value: options.executable };
  if ('missing' in found) throw new Error(found.missing);
  const home = await mkdtemp(join(tmpdir(), 'pgconv-browser-'));
  const server = await serveFolders(folders);
  try {
    // flags of the system's wrapper script are for desktops, and a home of its own keeps the user's profile out of the
    // test
    const env = {
      ...process.env,
      HOME: home,
      XDG_CONFIG_HOME: join(home, 'config'),
      XDG_CACHE_HOME: join(home, 'cache'),
      CHROMIUM_FLAGS: '',
    };
    const browser = await chromium.launch({ executablePath: found.value, headless: true, args: FLAGS, env });
    try {
      const page = await browser.newPage({ baseURL: server.url });
      page.setDefaultTimeout(options.timeout ?? 60_000);
      await page.route('**', (route) =>
        route.request().url().startsWith(server.url) || route.request().url().startsWith('blob:')
          ? route.continue()
          : route.abort(),
      );
      return await watched(page, async () => {
        await page.goto(server.url);
        return use(page, server.url);
      });
    } finally {
      await browser.close();
    }
  } finally {
    await server.close();
    await rm(home, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** Adds the page's console to whatever goes wrong, and makes uncaught exceptions of the page go wrong. */
async function watched<T>(page: Page, use: () => Promise<T>): Promise<T> {
  const printed: string[] = [];
  const uncaught: Error[] = [];
  page.on('console', (message) => printed.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => uncaught.push(error));
  try {
    const result = await use();
    if (uncaught[0]) throw uncaught[0];
    return result;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw new Error(
      [
        message,
        ...uncaught.map(({ stack, message: text }) => `uncaught in the page: ${stack ?? text}`),
        'console of the page:',
        ...printed,
      ].join('\n'),
      { cause: error },
    );
  }
}
