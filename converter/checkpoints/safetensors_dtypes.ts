import type { DType } from '../../ir/dtypes/index.ts';

/** The dtypes of the format that the IR has. */
export const SAFETENSORS_DTYPES = {
  F32: 'f32',
  F16: 'f16',
  BF16: 'bf16',
  I8: 'i8',
  U8: 'u8',
  I32: 'i32',
  I64: 'i64',
  BOOL: 'bool',
} as const satisfies Record<string, DType>;

/** Bits of the dtypes that the format has beside these: headers with them are read, their tensors are not. */
export const OTHER_DTYPES: ReadonlyMap<string, number> = new Map([
  ['F4', 4],
  ['F6_E2M3', 6],
  ['F6_E3M2', 6],
  ['F8_E4M3', 8],
  ['F8_E5M2', 8],
  ['F8_E8M0', 8],
  ['F8_E4M3FNUZ', 8],
  ['F8_E5M2FNUZ', 8],
  ['I16', 16],
  ['U16', 16],
  ['U32', 32],
  ['F64', 64],
  ['C64', 64],
  ['U64', 64],
]);
