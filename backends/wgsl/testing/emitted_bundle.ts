import type { Program } from '../../../ir/graph.ts';
import { writtenArtifact } from '../../testing/written_artifact.ts';
import type { CompileOptions } from '../compile/compile.ts';
import { emit } from '../emit.ts';

/** A program's bundle in a temporary folder, which goes away with `await using`. */
export function emittedBundle(
  program: Program,
  options: CompileOptions = {},
  precision = 'fp32',
): ReturnType<typeof writtenArtifact> {
  return writtenArtifact(emit(program, { precision }, options));
}
