import { describeOfShaders } from '../testing/shader_goldens.ts';

// pg2-tiny's bundle in a page is in `npm test` (wgsl.browser.test.ts), and so is the plan of a Gemma 2 in Node,
// at every stage (backends/wgsl/run.gpu.test.ts)
describeOfShaders('pg1-tiny');
describeOfShaders('pg2-tiny');
