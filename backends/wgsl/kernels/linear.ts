import type { Dim } from '../../../ir/dim.ts';
import { BackendError } from '../../error.ts';
import type { Epilogue } from './epilogue.ts';
import type { KernelBinding } from './kernel.ts';
import { formName, matrixBinding, type MatrixForm } from './matrix_form.ts';

/** Rows [first, first + count) of a matrix of the spec. */
export interface Part {
  readonly matrix: number;
  readonly first: number;
  readonly count: number;
}

export type LinearResult =
  /**
   * y[row, column] = epilogue over `y0`, `y1`, … = the parts, which have one count; `column` counts from the parts'
   * first rows. Stored at [row · stride + offset + column]; stride (default: count) and offset only when it is a part
   * of a wider row.
   */
  | {
      readonly kind: 'plain';
      readonly parts: readonly Part[];
      readonly epilogue: Epilogue;
      readonly stride?: number;
      readonly offset?: number;
    }
  /** A part as heads [heads, headDim], rotated as the op `rope` does and scaled; stored [rows, heads, headDim]. */
  | {
      readonly kind: 'rope';
      readonly part: Part;
      readonly heads: number;
      readonly headDim: number;
      readonly scale: number;
    }
  /**
   * The same, rotated or not, into a cache [batch, heads, capacity, headDim] at position past + s; rows are batch x
   * seq.
   */
  | {
      readonly kind: 'append';
      readonly part: Part;
      readonly heads: number;
      readonly headDim: number;
      readonly rotated: boolean;
      readonly batch: Dim;
      readonly seq: Dim;
    };

/** x[rows, columns] · matrixᵀ, f32, and what becomes of the results. */
export interface LinearSpec {
  /** Rows of x: the product of these sizes. */
  readonly rows: readonly Dim[];
  /** K: elements of a row of x. */
  readonly columns: number;
  /** x is RMS-normalised first: x · inverseSqrt(mean(x²) + epsilon) · norm[k]. Only in matvec. */
  readonly norm?: { readonly epsilon: number };
  /** Matrices [outputs, K] that all read x. The parts of one result lie in matrices of one form. */
  readonly matrices: readonly { readonly form: MatrixForm; readonly outputs: number }[];
  readonly results: readonly LinearResult[];
  /**
   * x may be rounded to signed bytes, with a scale for 32 of them, before products by codes. Only matvec does, where
   * WGSL has products of bytes.
   */
  readonly mayRound?: boolean;
}

/**
 * Storage bindings in order: `x`, [`norm`], `w0`, `w1`, …, [`positions: array<i32>`[rows], `rope: array<f32>`[P,
 * headDim]: cosines in the first half of a row, sines in the second], the epilogues' operands result after result,
 * `out0`, `out1`, …
 */
export function linearBindings({ norm, matrices, results }: LinearSpec): readonly KernelBinding[] {
  const read = (name: string, type: string): KernelBinding => ({ name, type, access: 'read' });
  return [
    read('x', 'array<f32>'),
    ...(norm ? [read('norm', 'array<f32>')] : []),
    ...matrices.map((_, i) => matrixBinding(`w${i}`)),
    ...(results.some(isRotated) ? [read('positions', 'array<i32>'), read('rope', 'array<f32>')] : []),
    ...results.flatMap((result) =>
      result.kind === 'plain' ? result.epilogue.operands.map(({ name, type }) => read(name, type)) : [],
    ),
    ...results.map((_, i): KernelBinding => ({ name: `out${i}`, type: 'array<f32>', access: 'read_write' })),
  ];
}

/** Storage bindings of the kernel; WebGPU's default limit is 8. */
export function bindingCount(spec: LinearSpec): number {
  return linearBindings(spec).length;
}

/** Whether rotary embedding is applied before the result is written. */
export function isRotated(result: LinearResult): boolean {
  return result.kind === 'rope' || (result.kind === 'append' && result.rotated);
}

/** What is added up before a result is written, the first part first. @throws BackendError for none */
export function partsOf(result: LinearResult): readonly [Part, ...Part[]] {
  const [first, ...rest] = result.kind === 'plain' ? result.parts : [result.part];
  if (!first) throw new BackendError('unsupported', 'a result of no matrix');
  return [first, ...rest];
}

/** `q4_norm_2048x2560`: forms, prologue, K x outputs. */
export function specName({ norm, matrices, columns }: LinearSpec): string {
  const forms = [...new Set(matrices.map(({ form }) => formName(form)))].join('_');
  return `${forms}${norm ? '_norm' : ''}_${columns}x${matrices.map(({ outputs }) => outputs).join('_')}`;
}

/** @throws BackendError when the parts of results do not fit their matrices, or bindings share a name. */
export function checkSpec(spec: LinearSpec): void {
  const refuse = (message: string): never => {
    throw new BackendError('unsupported', `linear ${specName(spec)}: ${message}`);
  };
  for (const result of spec.results) {
    const parts = partsOf(result);
    for (const { matrix, first, count } of parts)
      if (first < 0 || count < 1 || first + count > (spec.matrices[matrix]?.outputs ?? 0))
        refuse(`rows ${first}..${first + count} of matrix ${matrix}`);
    if (parts.some(({ count }) => count !== parts[0].count))
      refuse(`parts of ${parts.map(({ count }) => count).join(', ')} rows`);
    if (result.kind !== 'plain' && result.heads * result.headDim !== parts[0].count)
      refuse(`${result.heads} heads of ${result.headDim} from ${parts[0].count} rows`);
    if (isRotated(result) && result.kind !== 'plain' && result.headDim % 2 !== 0)
      refuse(`heads of ${result.headDim} cannot be rotated`);
  }
  const names = linearBindings(spec).map(({ name }) => name);
  if (new Set(names).size !== names.length) refuse(`bindings ${names.join(', ')} share a name`);
}
