import { describeOfShaders } from '../testing/shader_goldens.ts';

// pg1-tiny: wgsl.slow.test.ts
describeOfShaders('pg2-tiny');
