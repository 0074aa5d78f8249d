import { asBackendError } from '../../as_backend_error.ts';
import type { Runner } from '../../backend.ts';
import { gpuFacts } from '../../client/gpu_facts.ts';
import { BackendError } from '../../error.ts';
import { decodeMessage, encodeMessage, type Message } from '../messages.ts';
import { CONFIG_ID, PATHS, type Hello, type PageConfig, type PageFailure, type PageOptions } from './hello.ts';

/* What runs in a page that Node has opened: a bundle in the client that users have, and calls to it. */

/** What the module of a backend exports. */
export interface PageModule {
  /** Opens the bundle of the page. */
  open(options: PageOptions): Promise<Omit<Runner, 'device'>>;
}

/** Of the DOM, what is used here. */
interface PageWorld {
  readonly navigator: {
    readonly gpu?: GPU;
    readonly hardwareConcurrency: number;
    readonly userAgent: string;
    readonly userAgentData?: {
      getHighEntropyValues(
        hints: readonly string[],
      ): Promise<{ readonly fullVersionList?: readonly { readonly brand: string; readonly version: string }[] }>;
    };
  };
  readonly document: {
    readonly baseURI: string;
    readonly head: { append(element: object): void };
    getElementById(id: string): { readonly textContent: string };
    createElement(name: 'script'): { src: string; addEventListener(type: 'load' | 'error', listen: () => void): void };
  };
  readonly GPUAdapter?: { readonly prototype: GPUAdapter };
  addEventListener(type: 'unhandledrejection', listen: (event: { readonly reason: unknown }) => void): void;
}
const { navigator, document, GPUAdapter, addEventListener } = globalThis as unknown as PageWorld;

/** A call as Node makes it. */
interface Call {
  readonly id: number;
  readonly method: 'open' | 'inputDtypes' | 'run';
  readonly graph?: string;
  readonly stages?: readonly string[];
}

let runner: Omit<Runner, 'device'> | undefined;

async function main(): Promise<void> {
  const config = JSON.parse(document.getElementById(CONFIG_ID).textContent) as PageConfig;
  // never answered: its end tells each side that the other has gone
  void fetch(PATHS.alive).catch(() => {});
  watchDevices();
  addEventListener('unhandledrejection', ({ reason }) => console.error(reason));
  await fetch(PATHS.hello, { method: 'POST', body: JSON.stringify(await hello()) });
  for (;;) {
    const { body, tensors } = decodeMessage(await (await fetch(PATHS.next)).arrayBuffer());
    const call = body as Call;
    const answer = await answerTo(config, call, tensors).catch((error: unknown): Message => ({
      body: { failure: failureOf(error) },
      tensors: {},
    }));
    await fetch(`${PATHS.answer}?id=${call.id}`, { method: 'POST', body: encodeMessage(answer) });
  }
}

async function answerTo(config: PageConfig, call: Call, tensors: Message['tensors']): Promise<Message> {
  if (call.method === 'open') {
    for (const script of config.scripts) await loadScript(script);
    const module = (await import(/* @vite-ignore */ config.module)) as PageModule;
    const at = (path: string) => new URL(path, document.baseURI).href;
    runner = await module.open({ ...config.options, bundle: at('bundle/'), packages: at('npm/') });
    return { body: { description: runner.description }, tensors: {} };
  }
  if (!runner) throw new BackendError('runtime-failed', 'no bundle is open in the page');
  switch (call.method) {
    case 'inputDtypes':
      return { body: { dtypes: await runner.inputDtypes(call.graph!) }, tensors: {} };
    case 'run':
      return { body: {}, tensors: await runner.run(call.graph!, tensors, { stages: call.stages ?? [] }) };
  }
}

async function hello(): Promise<Hello> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: 'high-performance' }).catch(() => null);
  return {
    browser: await browserName(),
    threads: navigator.hardwareConcurrency,
    webgpu: navigator.gpu !== undefined,
    ...(adapter && { gpu: gpuFacts(adapter, navigator.gpu!.wgslLanguageFeatures) }),
  };
}

async function browserName(): Promise<string> {
  const values = await navigator.userAgentData?.getHighEntropyValues(['fullVersionList']).catch(() => undefined);
  const brands = (values?.fullVersionList ?? []).filter(({ brand }) => /^[A-Za-z ]+$/.test(brand));
  // a browser built on Chromium names both
  const own = brands.find(({ brand }) => brand !== 'Chromium') ?? brands[0];
  return own ? `${own.brand} ${own.version}` : navigator.userAgent;
}

/** Whoever opens a device: its loss is told at once, since a client may wait for it for good. */
function watchDevices(): void {
  if (!GPUAdapter) return;
  const { prototype } = GPUAdapter;
  const { requestDevice } = prototype;
  prototype.requestDevice = async function (this: GPUAdapter, descriptor) {
    const device = await requestDevice.call(this, descriptor);
    // one that its owner destroys is not lost
    void device.lost.then(({ reason, message }) =>
      reason === 'destroyed' ? undefined : fetch(PATHS.lost, { method: 'POST', body: message }),
    );
    return device;
  };
}

function loadScript(src: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.addEventListener('load', () => resolve());
    script.addEventListener('error', () => reject(new BackendError('runtime-missing', `the page cannot load ${src}`)));
    script.src = src;
    document.head.append(script);
  });
}

function failureOf(thrown: unknown): PageFailure {
  const error = asBackendError(thrown);
  if (error instanceof BackendError) return { code: error.code, message: error.message, place: error.place };
  return { code: 'runtime-failed', message: error instanceof Error ? error.message : String(error), place: {} };
}

void main();
