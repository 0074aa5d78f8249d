import { verifiedInPages } from '../testing/verified_in_pages.ts';

/* What devices.browser.test.ts leaves out: clients that compile shaders of their own for minutes. */

verifiedInPages([
  ['onnx', 'pg1-tiny', 'browser', /^onnxruntime-web .* webgpu in /],
  ['tfjs', 'pg1-tiny', 'browser', /^tfjs .* webgpu in /],
]);
