import type { Runner } from '../backend.ts';
import { gpuName, type DeviceFacts } from '../device_facts.ts';
import { pageProvider, type PageProvider } from '../devices.ts';
import { BackendError } from '../error.ts';
import { cpuFacts } from '../node_device.ts';
import { requireBrowser } from './find_browser.ts';
import { Page, type PageRequest } from './open_page.ts';
import { builtFolder, packageFolder } from './packages.ts';
import { packageOf, type PageClient } from './page_client.ts';
import { PageRunner } from './page_runner.ts';

export interface InPageOptions {
  /** As `--device` names it. */
  readonly device: string;
  readonly provider: PageProvider;
  /** Default the browser that is found. */
  readonly browser?: string | undefined;
}

/**
 * Opens a bundle in a page of a browser, in the client that users have there.
 * @throws BackendError `runtime-missing`, `no-webgpu`, `browser-failed`; what the client says of the bundle
 */
export async function openInPage(
  dir: string,
  client: PageClient,
  { device, provider, browser }: InPageOptions,
): Promise<Runner> {
  const executable = requireBrowser(browser);
  const prepared = (await client.prepare?.(dir, provider)) ?? null;
  const scripts = client.scripts?.(provider) ?? [];
  const packages = [
    ...new Set([...Object.values(client.imports), ...scripts, ...(client.packages ?? [])].map(packageOf)),
  ];
  const page = await pageFor(provider, {
    executable,
    folders: {
      'pgconv/': builtFolder(),
      'bundle/': dir,
      ...Object.fromEntries(packages.map((name) => [`npm/${name}/`, packageFolder(name)])),
    },
    imports: Object.fromEntries(Object.entries(client.imports).map(([name, path]) => [name, `./npm/${path}`])),
    config: {
      module: `../../${client.module}`,
      scripts: scripts.map((path) => `npm/${path}`),
      options: { provider, prepared },
    },
  });
  try {
    const { body } = await page.call({ method: 'open' });
    return new PageRunner(
      page,
      (body as { readonly description: string }).description,
      factsOf(device, provider, page),
    );
  } catch (error) {
    await page.close();
    throw error instanceof BackendError && error.place.file === undefined
      ? new BackendError(error.code, error.message, { file: dir, ...error.place }, { cause: error })
      : error;
  }
}

/** Whether a browser is here and its pages have what computes: it is started and ended. @throws as `openInPage` */
export async function requirePage(provider: PageProvider, browser?: string): Promise<string> {
  const page = await pageFor(provider, {
    executable: requireBrowser(browser),
    folders: { 'pgconv/': builtFolder() },
    imports: {},
    config: { module: '', scripts: [], options: { provider, prepared: null } },
  });
  await page.close();
  const { browser: name, gpu } = page.hello;
  return provider === 'webgpu' && gpu ? `${name} with ${gpuName(gpu)}` : name;
}

/**
 * Whether a device is there: what pages compute with, where it is one of a browser, else what `take` finds in this
 * process. @throws as `openInPage`, and what `take` throws
 */
export async function deviceReady(
  device: string,
  browser: string | undefined,
  take: (device: string) => unknown,
): Promise<string | undefined> {
  const provider = pageProvider(device);
  const found: unknown = provider ? await requirePage(provider, browser) : await take(device);
  return typeof found === 'string' ? found : undefined;
}

/** With WebGPU where that is asked for: the browser's own, else the browser's on the CPU. */
async function pageFor(provider: PageProvider, request: Omit<PageRequest, 'software'>): Promise<Page> {
  const page = await Page.open({ ...request, software: false });
  if (provider !== 'webgpu' || page.hello.gpu) return page;
  await page.close();
  const { executable } = request;
  const hint = 'name a browser that has WebGPU with --browser, or use the device browser:wasm, cpu or software';
  if (!page.hello.webgpu)
    throw new BackendError('no-webgpu', `${page.hello.browser} has no WebGPU`, { file: executable, hint });
  const again = await Page.open({ ...request, software: true });
  if (again.hello.gpu) return again;
  await again.close();
  throw new BackendError(
    'no-webgpu',
    `${page.hello.browser} has WebGPU, and finds no GPU, not even its own in software`,
    {
      file: executable,
      hint,
    },
  );
}

function factsOf(device: string, provider: PageProvider, { hello }: Page): DeviceFacts {
  return {
    name: device,
    host: hello.browser,
    cpu: { ...cpuFacts(), threads: hello.threads },
    ...(provider === 'webgpu' && hello.gpu && { gpu: hello.gpu }),
  };
}
