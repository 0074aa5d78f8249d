/** The op of bundles of packed weights: the driver registers it with tfjs. */
export const PACKED_OP = 'PgQMatMul';

/** Every op that bundles have nodes of. Stock loaders take unknown ones and fail when they run. */
export const KNOWN_OPS: ReadonlySet<string> = new Set([
  'AddV2', 'ArgMax', 'BatchMatMulV2', 'BroadcastTo', 'Cast', 'ConcatV2', 'Const', 'Conv2D', 'Equal', 'Erf', 'ExpandDims', 'GatherV2', 'Identity', 'LessEqual', 'LogicalAnd',
  'LogicalNot', 'LogicalOr', 'MatMul', 'Max', 'Mean', 'Mul', 'Pack', 'Placeholder', 'Range', 'RealDiv', 'Reshape', 'SelectV2', 'Shape', 'Slice', 'Softmax', 'Sqrt',
  'StridedSlice', 'Sub', 'Tanh', 'TensorScatterUpdate', 'Transpose', '_FusedMatMul', PACKED_OP,
]);
