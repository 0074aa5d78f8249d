import type { Backend, EmitOptions } from '../../backends/backend.ts';
import { wgsl } from '../../backends/wgsl/index.ts';
import type { Program } from '../../ir/graph.ts';
import { toy } from './toy_backend/index.ts';

/**
 * A backend with the traits of `wgsl`, of whose choices it lets a user make none: its bundles are those of the toy
 * backend, so that no test of what the converter does for it needs a GPU.
 */
export interface ShaderBackend extends Backend {
  readonly emitted: readonly { readonly program: Program; readonly options: EmitOptions }[];
}

export function shaderBackend(): ShaderBackend {
  const emitted: { program: Program; options: EmitOptions }[] = [];
  // its reader of weights is for bundles of shaders
  const { storedFields: _, ...traits } = wgsl;
  return {
    ...traits,
    choices: [],
    emitted,
    emit(program, options) {
      emitted.push({ program, options });
      return toy.emit(program, options);
    },
    packages: toy.packages,
    ready: async () => undefined,
    open: toy.open,
    describe: toy.describe,
    storedTensors: toy.storedTensors,
  };
}
