// @ts-check
// TypeScript declares WebAssembly with the DOM only; this is the part of it that is used.

/**
 * @typedef {{ readonly '': unique symbol }} Module compiled code: it can be posted to other threads
 * @typedef {object} Api
 * @property {(bytes: Uint8Array) => boolean} validate
 * @property {new (bytes: Uint8Array) => Module} Module
 * @property {new (module: Module) => { readonly exports: import('./simd.js').Exports }} Instance
 */

const api = /** @type {Api | undefined} */ (Reflect.get(globalThis, 'WebAssembly'));

/**
 * Compiles the kernels. Undefined where there is no WebAssembly or none with SIMD: then such a module is not valid.
 * @param {Uint8Array} bytes kernels.wasm
 * @returns {Module | undefined}
 */
export function compileKernels(bytes) {
  return api?.validate(bytes) ? new api.Module(bytes) : undefined;
}

/** @param {Module} module */
export function instantiateKernels(module) {
  if (!api) throw new Error('a WebAssembly module where there is no WebAssembly');
  return new api.Instance(module).exports;
}
