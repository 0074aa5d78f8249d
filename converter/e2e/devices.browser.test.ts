import { verifiedInPages } from '../testing/verified_in_pages.ts';

/*
 * Each backend once. Those on WebGPU that take minutes are in devices.slow_browser.test.ts, faults of pages in
 * in_page.browser.test.ts.
 */

verifiedInPages([
  ['onnx', 'pg1-tiny', 'browser:wasm', /^onnxruntime-web .* wasm in /],
  ['tfjs', 'pg1-tiny', 'browser:wasm', /^tfjs .* wasm in /],
  ['wgsl', 'pg2-tiny', 'browser', /^pgconv\/runtime on webgpu .* in /],
]);
