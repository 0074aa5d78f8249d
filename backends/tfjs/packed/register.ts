import type { KernelConfig, NamedTensorMap, TensorInfo } from '@tensorflow/tfjs-core';
import type { Tfjs } from '../driver/tfjs.ts';
import { PACKED_OP } from '../known_ops.ts';
import { plainProduct, type PackedOperands } from './plain_product.ts';
import { packedProgram, uniformsOf, type ProgramBackend } from './programs.ts';
import { packedShape, type PackedAttrs, type PackedShape } from './shape.ts';

/** What kernels of the backends need of them: fields that tfjs has public but does not type for others. */
interface CpuBackend {
  readonly data: { get(dataId: object): { readonly values: Float32Array | Int32Array } };
  makeTensorInfo(shape: readonly number[], dtype: 'float32', values: Float32Array): TensorInfo;
}
interface WasmBackend {
  readonly wasm: { readonly HEAPU8: Uint8Array };
  readonly dataIdMap: { get(dataId: object): { readonly memoryOffset: number | null } };
  readSync(dataId: object): Float32Array | Int32Array;
  makeOutput(shape: readonly number[], dtype: 'float32'): TensorInfo;
}

interface Operands {
  readonly x: TensorInfo;
  readonly codes: TensorInfo;
  readonly scales: TensorInfo;
  readonly zeros?: TensorInfo;
}

type Kernel<B> = (operands: Operands, shape: PackedShape, backend: B) => TensorInfo;

/**
 * Makes the packed op known to tfjs: its kernel on every backend that has one, and the op that graph models name.
 * Calling it again changes nothing.
 */
export function registerPackedOp(tf: Tfjs): void {
  register(tf, 'cpu', onCpu);
  register(tf, 'wasm', onWasm);
  register(tf, 'webgpu', onWebgpu);
  tf.registerOp(PACKED_OP, ({ inputs, attrs }) => {
    const [x, codes, scales, zeros] = inputs;
    const operands = { x, codes, scales, ...(zeros && { zeros }) } as unknown as NamedTensorMap;
    const { bits, group, columns, codebook } = attrs as unknown as PackedAttrs;
    return tf
      .engine()
      .runKernel(PACKED_OP, operands, { bits, group, columns, ...(codebook && { codebook: [...codebook] }) });
  });
}

function register<B>(tf: Tfjs, backendName: string, kernel: Kernel<B>): void {
  if (tf.getKernel(PACKED_OP, backendName)) return;
  const kernelFunc: KernelConfig['kernelFunc'] = ({ inputs, attrs, backend }) => {
    const operands = inputs as unknown as Operands;
    const { x, codes, scales, zeros } = operands;
    const shape = packedShape(x.shape, codes.shape, scales.shape, zeros?.shape, attrs as unknown as PackedAttrs);
    const made = kernel(operands, shape, backend as B);
    return { ...made, shape: [...x.shape.slice(0, -1), shape.outputs] };
  };
  tf.registerKernel({ kernelName: PACKED_OP, backendName, kernelFunc });
}

const onCpu: Kernel<CpuBackend> = (operands, shape, backend) => {
  const read = ({ dataId }: TensorInfo) => backend.data.get(dataId).values;
  return backend.makeTensorInfo([shape.rows, shape.outputs], 'float32', plainProduct(allOf(operands, read), shape));
};

/** Weights are read where they lie in the heap: reading a tensor would copy it. */
const onWasm: Kernel<WasmBackend> = (operands, shape, backend) => {
  // memory may grow, and views of it end, when the result gets its place
  const result = backend.makeOutput([shape.rows, shape.outputs], 'float32');
  const { buffer } = backend.wasm.HEAPU8;
  const read = ({ dataId, dtype, shape: sizes }: TensorInfo) => {
    const { memoryOffset } = backend.dataIdMap.get(dataId);
    const length = sizes.reduce((product, size) => product * size, 1);
    if (memoryOffset === null) return backend.readSync(dataId);
    return dtype === 'int32'
      ? new Int32Array(buffer, memoryOffset, length)
      : new Float32Array(buffer, memoryOffset, length);
  };
  const { memoryOffset } = backend.dataIdMap.get(result.dataId);
  new Float32Array(buffer, memoryOffset!, shape.rows * shape.outputs).set(plainProduct(allOf(operands, read), shape));
  return result;
};

const onWebgpu: Kernel<ProgramBackend> = ({ x, codes, scales, zeros }, shape, backend) => {
  const rows: TensorInfo = { ...x, dataId: x.dataId, dtype: x.dtype, shape: [shape.rows, shape.columns] };
  return backend.runWebGPUProgram(
    packedProgram(shape, zeros !== undefined),
    [rows, codes, scales, ...(zeros ? [zeros] : [])],
    'float32',
    uniformsOf(shape),
  );
};

function allOf(
  { x, codes, scales, zeros }: Operands,
  read: (tensor: TensorInfo) => Float32Array | Int32Array,
): PackedOperands {
  return {
    x: read(x) as Float32Array,
    codes: read(codes) as Int32Array,
    scales: read(scales) as Float32Array,
    zeros: zeros && (read(zeros) as Int32Array),
  };
}
