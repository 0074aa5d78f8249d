import { formats, type FormatName } from '../../../ir/formats/index.ts';
import type { KernelBinding } from './kernel.ts';

/**
 * How a matrix [N, K] lies on the device: one `array<vec4<u32>>`, the elements of all rows first, then their scales.
 * Every row of elements begins at a multiple of 16 bytes:
 * - f32: K padded to a multiple of 4, as `vec4<u32>` of 4 bit patterns;
 * - f16: K padded to a multiple of 8, as `vec4<u32>` of 8 halves, the earlier one in the low bits (`unpack2x16float`);
 * - codes of a format (ir/formats): K padded to a multiple of 32 columns, `vec4<u32>` holds 16 codes of 8 bits or 32 of
 *   4, the first one in the lowest bits.
 * Codes are unsigned: those of a codebook mean codebook[code] · scale, others (code − zero) · scale, zero 2^(bits−1)
 * where the form has no zeros. What fills a row up is 0 bits: never read it. Scales are u32, row after row, from word
 * N · vectorsPerRow · 4 on, the last vec4 filled up with 0:
 * - without zeros: two f16 scales of neighbouring blocks in a u32 (earlier one low), an odd count of blocks filled up
 *   with 0;
 * - with zeros: a u32 a block: f16 scale low, f16 zero high;
 * - `wide` (scales or zeros that f16 does not represent): two u32 a block: bits of the f32 scale, bits of the f32 zero.
 */
export type MatrixForm = { readonly kind: 'f32' } | { readonly kind: 'f16' } | CodeForm;

export interface CodeForm {
  readonly kind: FormatName;
  /** Columns that share a scale: a multiple of 32. */
  readonly block: number;
  readonly zeros: boolean;
  readonly wide: boolean;
}

export function isCoded(form: MatrixForm): form is CodeForm {
  return form.kind !== 'f32' && form.kind !== 'f16';
}

/** Name in file names: `f16`, `q4z`, `nf4_b64`. */
export function formName(form: MatrixForm): string {
  if (!isCoded(form)) return form.kind;
  const { bits, codebook } = formats[form.kind];
  const name = codebook ? form.kind : `q${bits}`;
  return `${name}${form.zeros ? 'z' : ''}${form.wide ? 'w' : ''}${form.block === 32 ? '' : `_b${form.block}`}`;
}

/** Columns of a row in memory. */
function storedColumns(form: MatrixForm, columns: number): number {
  const multiple = isCoded(form) ? 32 : columnsPerVector(form);
  return Math.ceil(columns / multiple) * multiple;
}

/** Columns that one `vec4<u32>` holds. */
export function columnsPerVector(form: MatrixForm): number {
  return isCoded(form) ? 128 / formats[form.kind].bits : { f32: 4, f16: 8 }[form.kind];
}

/** `vec4<u32>` a row. */
export function vectorsPerRow(form: MatrixForm, columns: number): number {
  return storedColumns(form, columns) / columnsPerVector(form);
}

/** u32 of scales a row; 0 for floats. */
export function scaleWordsPerRow(form: MatrixForm, columns: number): number {
  if (!isCoded(form)) return 0;
  const blocks = Math.ceil(storedColumns(form, columns) / form.block);
  return form.wide ? 2 * blocks : form.zeros ? blocks : Math.ceil(blocks / 2);
}

/** `vec4<u32>` of a whole matrix of `rows`: elements and scales. */
export function matrixVectors(form: MatrixForm, rows: number, columns: number): number {
  return rows * vectorsPerRow(form, columns) + Math.ceil((rows * scaleWordsPerRow(form, columns)) / 4);
}

/** The binding of one matrix. */
export function matrixBinding(name: string): KernelBinding {
  return { name, type: 'array<vec4<u32>>', access: 'read' };
}
