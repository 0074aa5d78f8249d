import { bf16 } from './bf16.ts';
import { bool } from './bool.ts';
import { f16 } from './f16.ts';
import { f32 } from './f32.ts';
import { i32 } from './i32.ts';
import { i4 } from './i4.ts';
import { i64 } from './i64.ts';
import { i8 } from './i8.ts';
import { u4 } from './u4.ts';
import { u8 } from './u8.ts';

/** Every dtype of the IR, by name. */
export const dtypes = { f32, f16, bf16, i8, u8, i4, u4, i32, i64, bool } as const;

export type DType = keyof typeof dtypes;

/** Whether the IR has a dtype of that name. */
export function isDType(name: string): name is DType {
  return Object.hasOwn(dtypes, name);
}

/** Whether a dtype is one of floats. */
export function isFloat(dtype: DType): boolean {
  return dtypes[dtype].kind === 'float';
}

/** Bytes of `count` packed elements. */
export function byteLengthOf(dtype: DType, count: number): number {
  return Math.ceil((count * dtypes[dtype].bits) / 8);
}
