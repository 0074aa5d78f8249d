import { BackendError } from '../../backends/error.ts';
import { backendNames, findBackend } from '../../backends/find_backend.ts';
import type { Kernels } from '../../ir/evaluate.ts';

/**
 * Faster products for the evaluator: those of the first backend whose runtime has some and is installed; undefined
 * without one.
 */
export async function fastKernels(): Promise<Kernels | undefined> {
  for (const name of backendNames()) {
    const backend = await findBackend(name);
    try {
      const kernels = await backend.evaluatorKernels?.();
      if (kernels) return kernels;
    } catch (error) {
      if (!(error instanceof BackendError && error.code === 'runtime-missing')) throw error;
    }
  }
  return undefined;
}
