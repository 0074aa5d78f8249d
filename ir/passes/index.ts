export { balanceChannels } from './balance_channels.ts';
export { bindDims } from './bind_dims.ts';
export { castFloats, type CastFloatsOptions, type Keep } from './cast_floats.ts';
export { decompose } from './decompose.ts';
export { eliminateCommonSubexpressions } from './eliminate_common_subexpressions.ts';
export { eliminateDeadCode } from './eliminate_dead_code.ts';
export { fixedCache } from './fixed_cache.ts';
export { foldConstants } from './fold_constants.ts';
export { fuseAddRmsNorm } from './fuse_add_rms_norm.ts';
export { fuseAppendCache } from './fuse_append_cache.ts';
export { narrowSizes } from './narrow_sizes.ts';
export type { Pass, Values } from './pass.ts';
export {
  productName,
  quantizableWeights,
  quantizeWeights,
  type QuantizableWeight,
  type QuantizeWeightsOptions,
} from './quantize_weights.ts';
export { runPasses, runPassesOnProgram, type PassListener, type PassRun } from './pipeline.ts';
export { splitLargeWeights } from './split_large_weights.ts';
export { storeWeights } from './store_weights.ts';
export { tileAttention } from './tile_attention.ts';
