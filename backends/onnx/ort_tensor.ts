import type { NumberArray } from '../../ir/dtypes/codec.ts';
import { dtypes, type DType } from '../../ir/dtypes/index.ts';
import { elementCount, type Tensor } from '../../ir/tensor.ts';
import { BackendError } from '../error.ts';
import type { OrtTensor, Runtime } from './runtime.ts';

/** ONNX Runtime's name of each dtype that a port may have. */
const ortTypes = {
  f32: 'float32',
  f16: 'float16',
  i8: 'int8',
  u8: 'uint8',
  i32: 'int32',
  i64: 'int64',
  bool: 'bool',
} as const satisfies { readonly [D in DType]?: OrtTensor.Type };
type PortDType = keyof typeof ortTypes;

/** The dtype of an ONNX Runtime type. @throws BackendError for one that no port of a bundle has. */
export function dtypeOf(type: string): PortDType {
  const found = (Object.keys(ortTypes) as PortDType[]).find((dtype) => ortTypes[dtype] === type);
  if (!found)
    throw new BackendError('unsupported', `a port of type ${type}`, { hint: 'open a bundle that pgconv wrote' });
  return found;
}

/** Encodes a decoded tensor. @throws BackendError when it is not `dtype` or its data does not fit its shape. */
export function toOrt(runtime: Pick<Runtime, 'Tensor'>, name: string, tensor: Tensor, dtype: PortDType): OrtTensor {
  if (tensor.dtype !== dtype)
    throw new BackendError('bad-input', `input "${name}" is ${tensor.dtype}, not ${dtype}`, {
      tensor: name,
      hint: `pass ${dtype}`,
    });
  const count = elementCount(tensor.shape);
  if (tensor.data.length !== count)
    throw new BackendError(
      'bad-input',
      `input "${name}" has ${tensor.data.length} values for shape [${tensor.shape.join(', ')}]`,
      { tensor: name },
    );
  const bytes = new Uint8Array((count * dtypes[dtype].bits) / 8);
  dtypes[dtype].encode(tensor.data, 0, count, bytes);
  const view = {
    f32: Float32Array,
    f16: Uint16Array,
    i8: Int8Array,
    u8: Uint8Array,
    i32: Int32Array,
    i64: BigInt64Array,
    bool: Uint8Array,
  }[dtype];
  // one of the types that ortTypes pairs
  return new runtime.Tensor(ortTypes[dtype], new view(bytes.buffer) as Float32Array, tensor.shape);
}

/** Decodes a result; its buffer may be the runtime's own, so it is copied. */
export function fromOrt(tensor: OrtTensor): Tensor {
  const dtype = dtypeOf(tensor.type);
  const { buffer, byteOffset, byteLength } = tensor.data as Float32Array;
  const shape = [...tensor.dims];
  const data: NumberArray = dtypes[dtype].allocate(elementCount(shape));
  dtypes[dtype].decode(new Uint8Array(buffer, byteOffset, byteLength), data.length, data, 0);
  return { dtype, shape, data };
}
