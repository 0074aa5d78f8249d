import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config';
import { HeaviestFirst } from './verify/environment/heaviest_first.ts';
import { TallyReporter } from './verify/environment/reporter.ts';

const NEEDS = ['gpu', 'browser', 'f16'] as const;
const NAMED = [...NEEDS, 'alone', 'slow', 'slow_f16', 'slow_browser'].map((name) => `**/*.${name}.test.ts`);
const FOLDERS = '{ir,backends,verify,converter}/**';
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
      ...(name.endsWith('browser') && { globalSetup: ['verify/environment/launch_browser.ts'] }),
    },
  };
}

/** Files that replace modules: each has a process, and with it modules, of its own. They may need a GPU. */
const { test: shared } = project('alone', `${FOLDERS}/*.alone.test.ts`);
const alone: TestProjectInlineConfiguration = { test: { ...shared, isolate: true, provide: { project: 'gpu' } } };

/** Files of which each takes a minute and more on the software GPU: `npm run test:slow`, and in .ci/run. */
const slow = NEEDS.map((need): TestProjectInlineConfiguration => {
  const name = need === 'gpu' ? 'slow' : `slow_${need}`;
  return { test: { ...project(name, `${FOLDERS}/*.${name}.test.ts`).test, provide: { project: need } } };
});

export default defineConfig({
  test: {
    projects: [
      ...slow,
      ...NEEDS.map((need) => project(need, `${FOLDERS}/*.${need}.test.ts`)),
      alone,
      project('e2e', `${END_TO_END}/*.test.ts`, NAMED),
      project('unit', `${FOLDERS}/*.test.ts`, [...NAMED, END_TO_END]),
    ],
    globalSetup: ['verify/environment/prepare.ts'],
    maxWorkers: '100%',
    sequence: { sequencer: HeaviestFirst },
    reporters: ['default', new TallyReporter()],
  },
});
