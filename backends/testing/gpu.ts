import { inject, it, type ProvidedContext } from 'vitest';

type Requirement = Extract<keyof ProvidedContext, 'softwareGpu' | 'f16Gpu'>;

/** `it` for tests that need WebGPU, as verify/environment has it: this folder may not import from there. */
export function itOnGpu(title: string, test: () => Promise<void>, timeout?: number): void {
  itNeeding('softwareGpu', title, test, timeout);
}

/**
 * The same on a GPU with `shader-f16`. A process has one driver: files of such tests have no others that use WebGPU.
 */
export function itOnF16Gpu(title: string, test: () => Promise<void>, timeout?: number): void {
  itNeeding('f16Gpu', title, test, timeout);
}

function itNeeding(
  requirement: Requirement,
  title: string,
  test: () => Promise<void>,
  timeout: number | undefined,
): void {
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
