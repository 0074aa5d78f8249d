import { dtypes, type DType } from '../dtypes/index.ts';
import type { WeightFormat } from './format.ts';
import { int4 } from './int4.ts';
import { int8 } from './int8.ts';
import { nf4 } from './nf4.ts';

export type { Blocks, QuantizeAlgorithm, WeightFormat } from './format.ts';

const all = { int8, int4, nf4 } as const;

export type FormatName = keyof typeof all;

/** Every format of weights, by name. */
export const formats: { readonly [N in FormatName]: WeightFormat } = all;

export const FORMAT_NAMES = Object.keys(all) as readonly FormatName[];

export function isFormatName(name: string): name is FormatName {
  return Object.hasOwn(all, name);
}

/** The zero point of affine codes that come without: 0 when they have a sign, else the middle of their range. */
export function middleOf(codes: DType): number {
  return isSigned(codes) ? 0 : 2 ** (dtypes[codes].bits - 1);
}

/**
 * What bytes of codes with a sign are xored with to be counted from 0 on, in the same order, and back: the sign bits. 0
 * for codes without.
 */
export function signBits(codes: DType): number {
  if (!isSigned(codes)) return 0;
  return dtypes[codes].bits === 4 ? 0x88 : 0x80;
}

function isSigned(codes: DType): boolean {
  return codes.startsWith('i');
}

/** The shape of a matrix's codes: [N, blocks of a row, block], or [blocks, block] where blocks are over the matrix. */
export function codesShape({ size, over }: WeightFormat['blocks'], rows: number, columns: number): readonly number[] {
  return over === 'row' ? [rows, Math.ceil(columns / size), size] : [Math.ceil((rows * columns) / size), size];
}
