import type { KernelBinding } from './kernel.ts';

/**
 * How a matrix [N, K] lies on the device. Every row begins at a multiple of 16 bytes:
 * - f32: K padded to a multiple of 4, as `vec4<u32>` of 4 bit patterns;
 * - f16: K padded to a multiple of 8, as `vec4<u32>` of 8 halves, the earlier one in the low bits (`unpack2x16float`);
 * - q8: blocks padded to multiples of 32 columns, a byte a code, `vec4<u32>` holds 16, first code in the lowest bits;
 * - q4: the same with 4 bits a code, `vec4<u32>` holds 32.
 * Codes are unsigned: (code − zero) · scale, zero 2^(bits−1) where the form has no zeros. What fills a row up has code = zero.
 * Scales come in an array of u32 of their own, row after row:
 * - without zeros: two f16 scales of neighbouring blocks in a u32 (earlier one low), an odd count of blocks filled up with 0;
 * - with zeros: a u32 a block: f16 scale low, f16 zero high;
 * - `wide` (scales that f16 does not represent): two u32 a block: bits of the f32 scale, bits of the f32 zero.
 */
export type MatrixForm =
  | { readonly kind: 'f32' }
  | { readonly kind: 'f16' }
  | { readonly kind: 'q8' | 'q4'; /** Columns that share a scale: a multiple of 32. */ readonly block: number; readonly zeros: boolean; readonly wide: boolean };

/** Name in file names: `f16`, `q4z`. */
export function formName(form: MatrixForm): string {
  return form.kind === 'f32' || form.kind === 'f16' ? form.kind : `${form.kind}${form.zeros ? 'z' : ''}${form.wide ? 'w' : ''}${form.block === 32 ? '' : `_b${form.block}`}`;
}

/** Columns of a row in memory. */
export function storedColumns(form: MatrixForm, columns: number): number {
  const multiple = { f32: 4, f16: 8, q8: 32, q4: 32 }[form.kind];
  return Math.ceil(columns / multiple) * multiple;
}

/** `vec4<u32>` a row. */
export function vectorsPerRow(form: MatrixForm, columns: number): number {
  return storedColumns(form, columns) / { f32: 4, f16: 8, q8: 16, q4: 32 }[form.kind];
}

/** u32 of scales a row; 0 for floats. */
export function scaleWordsPerRow(form: MatrixForm, columns: number): number {
  if (form.kind === 'f32' || form.kind === 'f16') return 0;
  const blocks = Math.ceil(storedColumns(form, columns) / form.block);
  return form.wide ? 2 * blocks : form.zeros ? blocks : Math.ceil(blocks / 2);
}

/** Bindings of one matrix under a prefix: `w` is `w: array<vec4<u32>>` and, for codes, `w_scales: array<u32>`. */
export function matrixBindings(prefix: string, form: MatrixForm): readonly KernelBinding[] {
  const codes = { name: prefix, type: 'array<vec4<u32>>', access: 'read' as const };
  return form.kind === 'f32' || form.kind === 'f16' ? [codes] : [codes, { name: `${prefix}_scales`, type: 'array<u32>', access: 'read' as const }];
}
