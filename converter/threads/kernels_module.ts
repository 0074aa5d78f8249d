import { readFile } from 'node:fs/promises';
import { castKernels } from '../../ir/quantize/kernels/casts.js';
import { compileKernels, instantiateKernels, type Module } from '../../ir/quantize/kernels/web_assembly.js';
import { useCastKernels } from '../../ir/views/convert.ts';

/** Beside the build's own ir/, or in the build when this runs from the sources. */
const PLACES = ['../../ir/quantize/kernels.wasm', '../../dist/ir/quantize/kernels.wasm'];

/**
 * The compiled kernels. Undefined where they were not built or this machine has no SIMD: plain JavaScript then gives
 * the same bytes, slower.
 */
export async function loadKernels(): Promise<Module | undefined> {
  for (const place of PLACES) {
    const bytes = await readFile(new URL(place, import.meta.url)).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    });
    if (bytes) return compileKernels(bytes);
  }
  return undefined;
}

/** Lets the casts of this thread run on the kernels: the same bytes, 2 to 5 times as fast. */
export function accelerateCasts(kernels: Module): void {
  useCastKernels(castKernels(instantiateKernels(kernels)));
}

/** Loads the kernels, and makes the casts of this thread use them. */
export async function useKernels(): Promise<Module | undefined> {
  const kernels = await loadKernels();
  if (kernels) accelerateCasts(kernels);
  return kernels;
}
