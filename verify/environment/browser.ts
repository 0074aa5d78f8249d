import { chromium, type Page } from 'playwright-core';
import { serveFolders, type Folders } from '../../backends/browser/static_server.ts';

export type { Page } from 'playwright-core';

export interface PageOptions {
  /** Most that one step of the page may take, in milliseconds. */
  readonly timeout?: number;
}

/**
 * Opens an empty page in the Chromium of all tests, with `folders` served beside it and nothing of other pages'
 * storage, and closes everything after `use`. The page is cross-origin isolated, so WebAssembly threads work. It
 * reaches nothing but `baseUrl`.
 * @param endpoint where the browser listens, as `itInChromium` gives it
 * @param folders URL prefix to folder: `{ '/bundle/': dir }` serves dir/a.onnx as `${baseUrl}/bundle/a.onnx`
 * @throws Error with what the page printed to its console, when `use` fails or an exception goes uncaught in the page
 */
export async function withBrowserPage<T>(
  endpoint: string,
  folders: Folders,
  use: (page: Page, baseUrl: string) => Promise<T>,
  { timeout = 60_000 }: PageOptions = {},
): Promise<T> {
  const server = await serveFolders(folders);
  try {
    // contexts of a connection are closed with it
    const browser = await chromium.connect(endpoint);
    try {
      const page = await browser.newPage({ baseURL: server.url });
      page.setDefaultTimeout(timeout);
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
