import { readFileSync } from 'node:fs';
import { compileKernels, instantiateKernels, type Module } from '../quantize/kernels/web_assembly.js';

/**
 * The vector kernels as `npm run build` left them.
 * @throws Error when they are not there or this machine has no SIMD
 */
export function builtKernels(): Module {
  const module = compileKernels(readFileSync(new URL('../../dist/ir/quantize/kernels.wasm', import.meta.url)));
  if (!module) throw new Error('no WebAssembly with SIMD here, or kernels.wasm is not valid: npm run build');
  return module;
}

/** An instance of them with memory of its own. */
export function kernelExports(): ReturnType<typeof instantiateKernels> {
  return instantiateKernels(builtKernels());
}
