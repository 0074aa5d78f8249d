export { castFloats, type CastFloatsOptions } from './cast_floats.ts';
export { decompose } from './decompose.ts';
export { eliminateCommonSubexpressions } from './eliminate_common_subexpressions.ts';
export { eliminateDeadCode } from './eliminate_dead_code.ts';
export { foldConstants } from './fold_constants.ts';
export type { Pass } from './pass.ts';
export { runPasses, runPassesOnProgram } from './pipeline.ts';
export { splitLargeWeights } from './split_large_weights.ts';
