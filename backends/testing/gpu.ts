import { inject, it } from 'vitest';

/** `it` for tests that need WebGPU, as verify/environment has it: this folder may not import from there. */
export function itOnGpu(title: string, test: () => Promise<void>): void {
  it(title, async (context) => {
    const gpu = inject('softwareGpu');
    if ('value' in gpu) return test();
    if (process.env['CI'] === 'true') throw new Error(`could not run: ${gpu.missing}`);
    return context.skip(gpu.missing);
  });
}
