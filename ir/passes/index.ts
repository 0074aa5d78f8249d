export { castFloats, narrowedBy, type CastFloatsOptions, type Keep } from './cast_floats.ts';
export { decompose } from './decompose.ts';
export { eliminateCommonSubexpressions } from './eliminate_common_subexpressions.ts';
export { eliminateDeadCode } from './eliminate_dead_code.ts';
export { foldConstants } from './fold_constants.ts';
export type { Pass } from './pass.ts';
export { quantizableWeights, quantizeWeights, type QuantizableWeight, type QuantizeWeightsOptions } from './quantize_weights.ts';
export { runPasses, runPassesOnProgram } from './pipeline.ts';
export { splitLargeWeights } from './split_large_weights.ts';
