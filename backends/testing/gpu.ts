import { inject, it, type ProvidedContext } from 'vitest';

type Requirement = Extract<keyof ProvidedContext, 'softwareGpu' | 'f16Gpu'>;

/** `it` for tests that need WebGPU, as verify/environment has it: this folder may not import from there. */
export function itOnGpu(title: string, test: () => Promise<void>, timeout?: number): void {
  itNeeding('softwareGpu', 'gpu', title, test, timeout);
}

/** The same on a GPU with `shader-f16`. A process has one driver, so these are a project of their own. */
export function itOnF16Gpu(title: string, test: () => Promise<void>, timeout?: number): void {
  itNeeding('f16Gpu', 'f16', title, test, timeout);
}

function itNeeding(
  requirement: Requirement,
  project: string,
  title: string,
  test: () => Promise<void>,
  timeout: number | undefined,
): void {
  if (inject('project') !== project) throw new Error(`the file of "${title}" has to be called *.${project}.test.ts`);
  it(
    title,
    async (context) => {
      const gpu = inject(requirement);
      if ('missing' in gpu) {
        if (process.env['CI'] === 'true') throw new Error(`could not run: ${gpu.missing}`);
        return context.skip(gpu.missing);
      }
      if (gpu.value !== true) Object.assign(process.env, gpu.value);
      return test();
    },
    timeout,
  );
}
