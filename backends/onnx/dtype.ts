import type { DType } from '../../ir/dtypes/index.ts';
import { BackendError } from '../error.ts';
import { TensorProto_DataType as DataType } from './proto/onnx_pb.ts';

/** ONNX's element type of each dtype. ONNX packs 4-bit elements as the IR does, the first in the low nibble. */
export const elementTypes = {
  f32: DataType.FLOAT,
  f16: DataType.FLOAT16,
  bf16: DataType.BFLOAT16,
  i8: DataType.INT8,
  u8: DataType.UINT8,
  i4: DataType.INT4,
  u4: DataType.UINT4,
  i32: DataType.INT32,
  i64: DataType.INT64,
  bool: DataType.BOOL,
} as const satisfies Readonly<Record<DType, number>>;

/** The dtype of an ONNX element type. @throws BackendError for a type that no program has. */
export function dtypeOfElementType(type: number, tensor: string): DType {
  const found = (Object.keys(elementTypes) as DType[]).find((dtype) => elementTypes[dtype] === type);
  if (!found)
    throw new BackendError('unsupported', `element type ${elementTypeInfo[type]?.name ?? type}`, {
      tensor,
      hint: 'open a bundle that pgconv wrote',
    });
  return found;
}

/** Name and bits of every fixed-size element type that a file may declare. */
export const elementTypeInfo: Readonly<Record<number, { readonly name: string; readonly bits: number }>> = {
  [DataType.FLOAT]: { name: 'f32', bits: 32 },
  [DataType.UINT8]: { name: 'u8', bits: 8 },
  [DataType.INT8]: { name: 'i8', bits: 8 },
  [DataType.UINT16]: { name: 'u16', bits: 16 },
  [DataType.INT16]: { name: 'i16', bits: 16 },
  [DataType.INT32]: { name: 'i32', bits: 32 },
  [DataType.INT64]: { name: 'i64', bits: 64 },
  [DataType.BOOL]: { name: 'bool', bits: 8 },
  [DataType.FLOAT16]: { name: 'f16', bits: 16 },
  [DataType.DOUBLE]: { name: 'f64', bits: 64 },
  [DataType.UINT32]: { name: 'u32', bits: 32 },
  [DataType.UINT64]: { name: 'u64', bits: 64 },
  [DataType.COMPLEX64]: { name: 'complex64', bits: 64 },
  [DataType.COMPLEX128]: { name: 'complex128', bits: 128 },
  [DataType.BFLOAT16]: { name: 'bf16', bits: 16 },
  [DataType.FLOAT8E4M3FN]: { name: 'f8e4m3fn', bits: 8 },
  [DataType.FLOAT8E4M3FNUZ]: { name: 'f8e4m3fnuz', bits: 8 },
  [DataType.FLOAT8E5M2]: { name: 'f8e5m2', bits: 8 },
  [DataType.FLOAT8E5M2FNUZ]: { name: 'f8e5m2fnuz', bits: 8 },
  [DataType.UINT4]: { name: 'u4', bits: 4 },
  [DataType.INT4]: { name: 'i4', bits: 4 },
  [DataType.FLOAT4E2M1]: { name: 'f4e2m1', bits: 4 },
};
