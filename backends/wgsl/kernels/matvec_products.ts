import { formats } from '../../../ir/formats/index.ts';
import { BackendError } from '../../error.ts';
import { levelsOf } from './codebook_text.ts';
import type { LinearSpec } from './linear.ts';
import { columnsPerVector, isCoded, vectorsPerRow, type CodeForm, type MatrixForm } from './matrix_form.ts';
import { scaleFunction } from './matrix_text.ts';
import { stagedVectors, type MatvecTuning } from './matvec_tuning.ts';

/** Matrices whose rows a group of lanes multiplies with x: one for each slot. */
export type Slots = readonly [number, ...number[]];

export const COMPONENTS = ['x', 'y', 'z', 'w'] as const;

/**
 * How x lies in workgroup memory while a part of it is multiplied: every 4 elements that a step takes together are a
 * vec4.
 */
export interface Staging {
  readonly form: MatrixForm;
  /** vec4 of x for a vector of the matrix. */
  readonly fours: number;
  /** Vectors of a row that x is staged for at a time. */
  readonly vectors: number;
  /** Vectors of a row. */
  readonly total: number;
  /** vec4 between those of neighbouring fours. One more than there are, so that writes meet different banks. */
  readonly stride: number;
}

/** @throws BackendError when the forms need different orders of x */
export function stagingOf(spec: LinearSpec, slots: Slots, { invocations, lanes }: MatvecTuning): Staging {
  const form = formOf(spec, slots);
  const fours = columnsPerVector(form) / 4;
  const total = vectorsPerRow(form, spec.columns);
  const room = stagedVectors(form, invocations);
  // whole rounds of the lanes, unless all fits
  const vectors = total <= room ? total : room < lanes ? room : Math.floor(room / lanes) * lanes;
  return { form, fours, vectors, total, stride: vectors + 1 };
}

/** What the rows of a group of lanes have in common. @throws BackendError when they need different orders of x */
export function formOf(spec: LinearSpec, slots: Slots): MatrixForm {
  const [form, ...others] = slots.map((matrix) => spec.matrices[matrix]!.form) as [MatrixForm, ...MatrixForm[]];
  if (others.some((other) => other.kind !== form.kind))
    throw new BackendError(
      'unsupported',
      `one result of matrices of ${form.kind} and ${others.map(({ kind }) => kind).join(', ')}`,
    );
  return form;
}

/**
 * WGSL of the four elements of x that a product takes together: the first one's column, by `first`, `vector` and
 * `four`, and all, by `column`.
 */
export function elementsOf(form: MatrixForm): { readonly column: string; readonly elements: readonly string[] } {
  const per = columnsPerVector(form);
  // codes of 4 bits come as the low halves of 4 bytes, then the high ones
  const isHalves = isCoded(form) && formats[form.kind].bits === 4;
  const column = isHalves
    ? `(first + vector) * ${per}u + 8u * (four / 2u) + four % 2u`
    : `(first + vector) * ${per}u + 4u * four`;
  return {
    column,
    elements: (isHalves ? [0, 2, 4, 6] : [0, 1, 2, 3]).map(
      (step) => `element(start, column${step === 0 ? '' : ` + ${step}u`})`,
    ),
  };
}

/** `products_w0`, `products_w0_w1` */
export function productsName(slots: Slots): string {
  return `products_${[...new Set(slots)].map((matrix) => `w${matrix}`).join('_')}${slots.length}`;
}

/** WGSL that multiplies one vector of a row with x: `fn w0_product(row, vector, x0, x1, …, sum)`, and what it calls. */
export function productFunction({ matrices, columns }: LinearSpec, matrix: number): string {
  const { form, outputs } = matrices[matrix]!;
  const name = `w${matrix}`;
  const fours = columnsPerVector(form) / 4;
  const inputs = Array.from({ length: fours }, (_, i) => `  x${i}: vec4<f32>,`);
  const add = (four: string, i: number) => `  total += ${four} * x${i};`;
  const read = `  let bits = ${name}[row * ${vectorsPerRow(form, columns)}u + vector];`;
  const head = [`fn ${name}_product(`, '  row: u32,', '  vector: u32,', ...inputs, '  sum: f32,', ') -> f32 {'].join(
    '\n',
  );
  const lines = [read, '  var total = vec4<f32>();', ...foursOf(form).map(add)];
  if (!isCoded(form)) return [head, ...lines, '  return dot(total, vec4<f32>(1.0));', '}'].join('\n');
  const vectorsPerBlock = form.block / columnsPerVector(form);
  return [
    scaleFunction({ name, form, outputs, columns }),
    '',
    head,
    ...lines,
    `  let scale = ${name}_scale(row, vector${vectorsPerBlock === 1 ? '' : ` / ${vectorsPerBlock}u`});`,
    isCentred(form)
      ? '  return scale.x * dot(total, vec4<f32>(1.0));'
      : '  return scale.x * (dot(total, vec4<f32>(1.0)) - scale.y * sum);',
    '}',
  ].join('\n');
}

/** WGSL of the numbers of a vector `bits`, four at a time, in the order of `elementsOf`: affine codes as they are. */
function foursOf(form: MatrixForm): readonly string[] {
  if (form.kind === 'f32') return ['bitcast<vec4<f32>>(bits)'];
  if (form.kind === 'f16')
    return ['x', 'z'].map((c, i) => `vec4<f32>(unpack2x16float(bits.${c}), unpack2x16float(bits.${['y', 'w'][i]}))`);
  const { codebook } = formats[form.kind];
  return bytesOf(form).map((word) => (codebook ? levelsOf(form, `codes_of(${word})`) : `bytes_of(${word})`));
}

/** WGSL of the words of four codes, a byte each, of a vector `bits`. */
export function bytesOf({ kind }: CodeForm): readonly string[] {
  return formats[kind].bits === 8
    ? COMPONENTS.map((c) => `bits.${c}`)
    : COMPONENTS.flatMap((c) => [`bits.${c} & 0x0f0f0f0fu`, `(bits.${c} >> 4u) & 0x0f0f0f0fu`]);
}

/** Whether numbers count from 0: no zero point times a sum of x is to be taken off. */
function isCentred(form: MatrixForm): boolean {
  return !isCoded(form) || formats[form.kind].codebook !== undefined;
}

/** WGSL of what several matrices' products call: those by affine codes. */
export const BYTES_OF = `\
fn bytes_of(word: u32) -> vec4<f32> {
  return vec4<f32>((vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u));
}`;

/** Those by codes of a codebook. */
export const CODES_OF = `\
fn codes_of(word: u32) -> vec4<u32> {
  return (vec4<u32>(word) >> vec4<u32>(0u, 8u, 16u, 24u)) & vec4<u32>(255u);
}`;

/**
 * WGSL `fn element(start: u32, column: u32) -> f32`: of x, normalised but for the root of its mean square, whose sum it
 * keeps; 0 beyond K.
 */
export function elementFunction({ columns, norm }: LinearSpec): string {
  const zero = `  if (column >= ${columns}u) { return 0.0; }`;
  if (!norm)
    return ['fn element(start: u32, column: u32) -> f32 {', zero, '  return x[start + column];', '}'].join('\n');
  return [
    '// Of the elements of x that this invocation reads: the sum of their squares.',
    'var<private> square: f32;',
    '',
    'fn element(start: u32, column: u32) -> f32 {',
    zero,
    '  let value = x[start + column];',
    '  square += value * value;',
    '  return value * norm[column];',
    '}',
  ].join('\n');
}

/**
 * WGSL `fn products_…(start, rows, lane, local) -> vec4<f32>`: this lane's share of the products of rows with x, which
 * begins at `start`. x goes through workgroup memory, in parts; unused components stay 0. In uniform control flow only.
 */
export function productsFunction(spec: LinearSpec, slots: Slots, tuning: MatvecTuning): string {
  const { form, fours, vectors, total, stride } = stagingOf(spec, slots, tuning);
  const rounds = Math.ceil(total / vectors);
  const { column, elements } = elementsOf(form);
  const xs = Array.from({ length: fours }, (_, i) => `x${i}`);
  const type = `vec${tuning.slots}`;
  const body = [
    ...(rounds > 1 ? ['workgroupBarrier();'] : []),
    `for (var i = local; i < ${fours * vectors}u; i += ${tuning.invocations}u) {`,
    `  let vector = i / ${fours}u;`,
    `  let four = i % ${fours}u;`,
    `  let column = ${column};`,
    `  staged[four * ${stride}u + vector] = vec4<f32>(${elements.join(', ')});`,
    '}',
    'workgroupBarrier();',
    `for (var vector = lane; vector < ${total % vectors === 0 ? `${vectors}u` : `min(${vectors}u, ${total}u - first)`}; vector += ${tuning.lanes}u) {`,
    ...xs.map((x, i) => `  let ${x} = staged[${i === 0 ? '' : `${i * stride}u + `}vector];`),
    `  let sum = ${isCentred(form) ? '0.0' : `dot(${xs.join(' + ')}, vec4<f32>(1.0))`};`,
    ...slots.map(
      (matrix, slot) =>
        `  total.${COMPONENTS[slot]} += w${matrix}_product(rows.${COMPONENTS[slot]}, first + vector, ${xs.join(', ')}, sum);`,
    ),
    '}',
  ];
  const indent = (lines: readonly string[], by: string) => lines.map((line) => by + line);
  return [
    `fn ${productsName(slots)}(start: u32, rows: ${type}<u32>, lane: u32, local: u32) -> ${type}<f32> {`,
    `  var total = ${type}<f32>();`,
    ...(rounds > 1
      ? [`  for (var first = 0u; first < ${total}u; first += ${vectors}u) {`, ...indent(body, '    '), '  }']
      : ['  let first = 0u;', ...indent(body, '  ')]),
    '  return total;',
    '}',
  ].join('\n');
}
