import type { Program } from '../../ir/graph.ts';
import type { Artifact, EmitOptions } from '../backend.ts';
import { bundleFiles } from './bundle/bundle_files.ts';
import { compile, type CompileOptions } from './compile/compile.ts';

/**
 * The program as `manifest.pgw`, `shaders/*.wgsl` and `weights/*.bin`. Pure.
 * Accuracy level 4 has kernels beside the usual ones that round activations to bytes.
 * @throws BackendError for what no kernel computes
 */
export function emit(
  program: Program,
  { precision, accuracyLevel = 0 }: Pick<EmitOptions, 'precision' | 'accuracyLevel'>,
  options: CompileOptions = {},
): Artifact {
  return {
    files: bundleFiles({
      precision,
      model: program.metadata,
      ...compile(program, { mayRound: accuracyLevel === 4, ...options }),
    }),
  };
}
