import { inject, it, type TestContext } from 'vitest';
import type { ProvidedContext } from 'vitest';
import type { Found } from '../../backends/gpu/found.ts';

type Requirement = Exclude<keyof ProvidedContext, 'project'>;
type Given<R extends Requirement> = ProvidedContext[R] extends Found<infer T> ? T : never;

/**
 * `it` for tests that need something that a machine may lack; the test gets what was found. Where it is missing the
 * test is reported as not run, with the reason, and never as passed; under `CI=true` it fails instead. The names of
 * files say what their tests need, so that vitest.config.ts can tell them apart.
 */
function itNeeding<R extends Requirement>(requirement: R, project: string, use: (given: Given<R>) => void = () => {}) {
  return (
    name: string,
    test: (given: Given<R>, context: TestContext) => void | Promise<void>,
    timeout?: number,
  ): void => {
    if (inject('project') !== project) throw new Error(`the file of "${name}" has to be called *.${project}.test.ts`);
    it(
      name,
      async (context) => {
        const found = inject(requirement) as Found<Given<R>>;
        if ('value' in found) {
          use(found.value);
          return test(found.value, context);
        }
        if (process.env['CI'] === 'true') throw new Error(`could not run: ${found.missing}`);
        return context.skip(found.missing);
      },
      timeout,
    );
  };
}

/** Tests that use WebGPU in Node: `webgpu` or onnxruntime-node's `webgpu` provider. */
export const itOnGpu = itNeeding('softwareGpu', 'gpu');

/**
 * The same on a GPU with `shader-f16`, which the software GPU of the others does not have. A process has one driver, so
 * these are a project of their own.
 */
export const itOnF16Gpu = itNeeding('f16Gpu', 'f16', (variables) => Object.assign(process.env, variables));

/** Tests that drive a browser; they get where it listens. */
export const itInChromium = itNeeding('chromium', 'browser');
