import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type BrowserServer } from 'playwright-core';
import type { TestProject } from 'vitest/node';
import { findChromium } from '../../backends/gpu/chromium.ts';

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

/**
 * Runs once before all tests of the project `browser` (its `globalSetup`): one Chromium for all their pages. Tests get
 * where it listens.
 */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const found = findChromium();
  if ('missing' in found) {
    project.provide('chromium', found);
    return undefined;
  }
  const browser = await launchBrowser(found.value);
  project.provide('chromium', { value: browser.endpoint });
  return browser.close;
}

/**
 * A headless Chromium whose WebGPU runs in software, for `withBrowserPage`.
 * @throws Error when the executable does not start
 */
export async function launchBrowser(
  executable: string,
): Promise<{ readonly endpoint: string; readonly close: () => Promise<void> }> {
  // flags of the system's wrapper script are for desktops, and a home of its own keeps the user's profile out of the
  // tests
  const home = await mkdtemp(join(tmpdir(), 'pgconv-browser-'));
  const removeHome = () => rm(home, { recursive: true, force: true, maxRetries: 5 });
  const env = {
    ...process.env,
    HOME: home,
    TMPDIR: home,
    XDG_CONFIG_HOME: join(home, 'config'),
    XDG_CACHE_HOME: join(home, 'cache'),
    CHROMIUM_FLAGS: '',
  };
  let server: BrowserServer;
  try {
    server = await chromium.launchServer({ executablePath: executable, headless: true, args: FLAGS, env });
  } catch (error) {
    await removeHome();
    throw error;
  }
  return {
    endpoint: server.wsEndpoint(),
    async close() {
      await server.close();
      await removeHome();
    },
  };
}
