import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { HeaviestFirst } from './verify/environment/heaviest_first.ts';
import { TallyReporter } from './verify/environment/reporter.ts';

const FOLDERS = '{ir,backends,verify,converter}/**';
const NEEDS = ['gpu', 'browser', 'f16'] as const;

/**
 * The tests of one kind, by the names of their files. A process runs many files: what a GPU has compiled serves all of
 * them, and no module is loaded twice.
 */
function project(name: string, include: string, exclude: readonly string[] = []): TestProjectInlineConfiguration {
  return {
    test: {
      name,
      include: [include],
      exclude: [...exclude],
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
      ...NEEDS.map((need) => project(need, `${FOLDERS}/*.${need}.test.ts`)),
      project(
        'unit',
        `${FOLDERS}/*.test.ts`,
        NEEDS.map((need) => `**/*.${need}.test.ts`),
      ),
    ],
    globalSetup: ['verify/environment/prepare.ts'],
    maxWorkers: '100%',
    sequence: { sequencer: HeaviestFirst },
    reporters: ['default', new TallyReporter()],
  },
});
