import type { TfNode } from '../graph.ts';

/** Kernels that the converter's executor runs for a node, by its op; none for what the executor does itself. */
export const opKernels: Readonly<Record<string, readonly string[]>> = {
  _FusedMatMul: ['_FusedMatMul'],
  AddV2: ['Add'],
  ArgMax: ['ArgMax'],
  BatchMatMulV2: ['BatchMatMul'],
  BroadcastTo: ['Tile', 'Reshape'],
  Cast: ['Cast'],
  ConcatV2: ['Concat'],
  Conv2D: ['Conv2D'],
  Conv2DBackpropInput: ['Conv2DBackpropInput'],
  Equal: ['Equal'],
  Erf: ['Erf'],
  ExpandDims: ['ExpandDims'],
  GatherV2: ['GatherV2'],
  Identity: ['Identity'],
  LessEqual: ['LessEqual'],
  LogicalAnd: ['LogicalAnd'],
  LogicalNot: ['LogicalNot'],
  LogicalOr: ['LogicalOr'],
  MatMul: ['BatchMatMul'],
  Max: ['Max'],
  Mean: ['Mean'],
  Mul: ['Multiply'],
  Pack: ['Pack'],
  Pad: ['PadV2'],
  Range: ['Range'],
  RealDiv: ['RealDiv'],
  Relu: ['Relu'],
  Reshape: ['Reshape'],
  SelectV2: ['Select', 'Tile'],
  Shape: [],
  Slice: ['Slice'],
  Softmax: ['Softmax'],
  Sqrt: ['Sqrt'],
  StridedSlice: ['StridedSlice'],
  Sub: ['Sub'],
  Tanh: ['Tanh'],
  TensorScatterUpdate: ['TensorScatterUpdate'],
  Transpose: ['Transpose'],
};

const FLOATS = new Set([
  '_FusedMatMul',
  'BatchMatMulV2',
  'Conv2D',
  'Erf',
  'MatMul',
  'Mean',
  'RealDiv',
  'Relu',
  'Softmax',
  'Sqrt',
  'Tanh',
]);
const BOOLS = new Set(['LogicalAnd', 'LogicalNot', 'LogicalOr']);
/** Of these the last axis or shape operands alone are integers. */
const RANKS: Readonly<Record<string, number>> = { Conv2D: 4, Pad: 6, Transpose: 6, BroadcastTo: 6 };

/** Why no backend computes a node with these types, as the kernels' own assertions say; undefined where all do. */
export function refusedTypes({ op, inputTypes, output }: TfNode): string | undefined {
  const [x] = inputTypes;
  if (op === 'Conv2DBackpropInput') {
    const [sizes, ...floats] = inputTypes;
    if (sizes?.dtype !== 'int32' || floats.some(({ dtype, rank }) => dtype !== 'float32' || rank !== 4))
      return 'takes sizes of int32 and two float32 of 4 axes';
    return undefined;
  }
  if (FLOATS.has(op) && (x?.dtype !== 'float32' || output.dtype !== 'float32')) return `takes float32, not ${x?.dtype}`;
  const wrong = BOOLS.has(op) ? inputTypes.find(({ dtype }) => dtype !== 'bool') : undefined;
  if (wrong) return `takes bool, not ${wrong.dtype}`;
  if (op === 'SelectV2' && x?.dtype !== 'bool') return `takes a condition of bool, not ${x?.dtype}`;
  if (op === 'GatherV2' && inputTypes[1]?.dtype !== 'int32')
    return `takes indices of int32, not ${inputTypes[1]?.dtype}`;
  if (op === 'TensorScatterUpdate' && (inputTypes[1]?.dtype !== 'int32' || x?.dtype !== inputTypes[2]?.dtype))
    return 'takes int32 indices and updates of the tensor’s dtype';
  const most = RANKS[op];
  const rank = Math.max(output.rank, x?.rank ?? 0);
  return most !== undefined && rank > most ? `has no more than ${most} axes, not ${rank}` : undefined;
}
