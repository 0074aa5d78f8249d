import { recordedInChromium, tfjsPages } from '../testing/tfjs_in_chromium.ts';

/* What tfjs.browser.test.ts leaves out: backends that compile shaders for each graph, long on SwiftShader. */

recordedInChromium(tfjsPages(), [
  ['pg1-tiny', 'webgpu'],
  ['pg2-tiny', 'webgl'],
]);
