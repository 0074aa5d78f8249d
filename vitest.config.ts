import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { HeaviestFirst } from './verify/environment/heaviest_first.ts';
import { TallyReporter } from './verify/environment/reporter.ts';

const NEEDS = ['gpu', 'browser', 'f16'] as const;
const NEEDY = NEEDS.map((need) => `**/*.${need}.test.ts`);
const END_TO_END = 'converter/e2e/**';

/**
 * The tests of one kind, told apart by where their files are and how they are called. A process runs many files: what
 * a GPU has compiled serves all of them, and no module is loaded twice.
 */
function project(name: string, include: string, exclude: readonly string[] = []): TestProjectInlineConfiguration {
  return {
    test: {
      name,
      include: [include],
      exclude: ['**/node_modules/**', ...exclude],
      provide: { project: name },
      isolate: false,
      // native addons (Dawn, ONNX Runtime) want a process of their own, and LD_LIBRARY_PATH of the software GPU counts
      // from its start
      pool: 'forks',
      // generous, since compiling shaders on two busy cores is slow: a time-out is there to end a hang
      testTimeout: 240_000,
      hookTimeout: 240_000,
      ...(name === 'browser' && { globalSetup: ['verify/environment/launch_browser.ts'] }),
    },
  };
}

export default defineConfig({
  test: {
    projects: [
      ...NEEDS.map((need) => project(need, `{ir,backends,verify,converter}/**/*.${need}.test.ts`)),
      project('e2e', `${END_TO_END}/*.test.ts`, NEEDY),
      project('unit', '{ir,backends,verify,converter}/**/*.test.ts', [...NEEDY, END_TO_END]),
    ],
    globalSetup: ['verify/environment/prepare.ts'],
    maxWorkers: '100%',
    sequence: { sequencer: HeaviestFirst },
    reporters: ['default', new TallyReporter()],
  },
});
