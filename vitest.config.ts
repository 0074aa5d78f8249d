import { defineConfig } from 'vitest/config';
import { TallyReporter } from './verify/environment/reporter.ts';

export default defineConfig({
  test: {
    include: ['{ir,backends,verify,converter}/**/*.test.ts'],
    globalSetup: ['verify/environment/prepare.ts'],
    // native addons (Dawn, ONNX Runtime) want a process of their own, and LD_LIBRARY_PATH of the software GPU counts
    // from its start
    pool: 'forks',
    maxWorkers: '100%',
    // generous, since compiling shaders on two busy cores is slow: a time-out is there to end a hang
    testTimeout: 240_000,
    hookTimeout: 240_000,
    reporters: ['default', new TallyReporter()],
  },
});
