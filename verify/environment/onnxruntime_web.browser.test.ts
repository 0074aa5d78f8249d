import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { withBrowserPage } from './browser.ts';
import { launchBrowser } from './launch_browser.ts';
import { itInChromium } from './requirement.ts';
import { TINY_INPUT, TINY_OUTPUT, tinyModel } from './tiny_model.ts';

const RUNTIME = dirname(createRequire(import.meta.url).resolve('onnxruntime-web'));

/**
 * Runs in the page. Counts what is dispatched to the GPU, and forbids nodes on the CPU: neither can pass on WebAssembly
 * alone.
 */
const PAGE_SCRIPT = `(async () => {
  let dispatches = 0;
  const dispatch = GPUComputePassEncoder.prototype.dispatchWorkgroups;
  GPUComputePassEncoder.prototype.dispatchWorkgroups = function (...args) { dispatches++; return dispatch.apply(this, args); };
  const ort = await import('/ort/ort.webgpu.min.mjs');
  ort.env.wasm.wasmPaths = '/ort/';
  const adapter = await navigator.gpu.requestAdapter();
  const session = await ort.InferenceSession.create('/model/tiny.onnx', { executionProviders: ['webgpu'], extra: { session: { disable_cpu_ep_fallback: '1' } } });
  const { y } = await session.run({ x: new ort.Tensor('float32', Float32Array.from(${JSON.stringify(TINY_INPUT)}), [2, 2]) });
  const result = { adapter: adapter.info.architecture, isolated: crossOriginIsolated, dispatches, dims: y.dims, data: Array.from(await y.getData()) };
  await session.release();
  return result;
})()`;

interface PageResult {
  readonly adapter: string;
  readonly isolated: boolean;
  readonly dispatches: number;
  readonly dims: readonly number[];
  readonly data: readonly number[];
}

describe('headless Chromium', () => {
  itInChromium('runs a model with onnxruntime-web on WebGPU, all of it', async (browser) => {
    const dir = mkdtempSync(join(tmpdir(), 'pgconv-tiny-'));
    writeFileSync(join(dir, 'tiny.onnx'), tinyModel());
    try {
      const result = await withBrowserPage(browser, { '/ort/': RUNTIME, '/model/': dir }, (page) =>
        page.evaluate<PageResult>(PAGE_SCRIPT),
      );
      expect(result).toMatchObject({ adapter: 'swiftshader', isolated: true, dims: [2, 3] });
      expect(result.dispatches).toBeGreaterThan(0);
      expect(result.data).toHaveLength(TINY_OUTPUT.length);
      result.data.forEach((value, i) => expect(Math.abs(value - (TINY_OUTPUT[i] ?? NaN))).toBeLessThan(1e-6));
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  itInChromium('reports an exception of the page with what it printed', async (browser) => {
    const run = withBrowserPage(browser, {}, (page) =>
      page.evaluate(`console.log('hello from the page'); throw new Error('wrong in the page')`),
    );
    await expect(run).rejects.toThrow(/wrong in the page[^]*log: hello from the page/);
  });

  itInChromium('reaches no other host', async (browser) => {
    const reached = await withBrowserPage(browser, {}, (page) =>
      page.evaluate(`fetch('http://127.0.0.1:1/', { mode: 'no-cors' }).then(() => true, () => false)`),
    );
    expect(reached).toBe(false);
  });
});

it('says which browser is missing', async () => {
  await expect(launchBrowser('/nowhere/chromium')).rejects.toThrow('/nowhere/chromium');
});
