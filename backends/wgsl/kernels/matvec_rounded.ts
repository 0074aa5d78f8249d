import { formats } from '../../../ir/formats/index.ts';
import { BackendError } from '../../error.ts';
import type { LinearSpec } from './linear.ts';
import { columnsPerVector, isCoded, vectorsPerRow, type CodeForm, type MatrixForm } from './matrix_form.ts';
import { scaleFunction } from './matrix_text.ts';
import { bytesOf, COMPONENTS, elementsOf, formOf, type Slots, type Staging } from './matvec_products.ts';
import { WORKGROUP_BYTES, type MatvecTuning } from './matvec_tuning.ts';

/** What WGSL needs for products of bytes. */
export const BYTE_PRODUCTS = 'packed_4x8_integer_dot_product';

/** Columns of x that share the scale of their bytes. A multiple of it shares that of a matrix. */
const BLOCK = 32;
/** Invocations that round a block of x together, four elements each. */
const ROUNDERS = BLOCK / 4;

/** Whether all its products are by affine codes: floats, which a codebook gives as well, have no products of bytes. */
export function isRoundable({ matrices }: LinearSpec): boolean {
  return matrices.every(({ form }) => isCoded(form) && !formats[form.kind].codebook);
}

/**
 * How x lies in workgroup memory as bytes: a u32 has four elements that a product takes together, and every block has a
 * scale.
 * @throws BackendError when the forms need different orders of x
 */
export function roundedStaging(spec: LinearSpec, slots: Slots, { invocations, lanes }: MatvecTuning): Staging {
  const form = formOf(spec, slots);
  const per = columnsPerVector(form);
  const total = vectorsPerRow(form, spec.columns);
  // beside the sums, and two rounds of the largest elements: a byte a column, and a number a block
  const room = Math.floor((WORKGROUP_BYTES - (20 + 8) * invocations) / (per + (4 * per) / BLOCK)) - 1;
  const unit = Math.max(lanes, BLOCK / per);
  const vectors = total <= room ? total : Math.floor(room / unit) * unit;
  return { form, fours: per / 4, vectors, total, stride: vectors + 1 };
}

/** WGSL of the memory of all stagings of a shader. */
export function roundedMemory(stagings: readonly Staging[], { invocations }: MatvecTuning): readonly string[] {
  const most = (of: (staging: Staging) => number) => Math.max(...stagings.map(of));
  return [
    `// Four elements of x each, rounded to signed bytes, in the order in which the codes come.\nvar<workgroup> staged: array<u32, ${most(({ fours, stride }) => fours * stride)}>;`,
    `// What one of a byte is worth, for every ${BLOCK} elements of x.\nvar<workgroup> steps: array<f32, ${most(({ form, vectors }) => Math.ceil((vectors * columnsPerVector(form)) / BLOCK))}>;`,
    `// The largest magnitude of four elements each, of this round and of the one before.\nvar<workgroup> peaks: array<f32, ${2 * invocations}>;`,
  ];
}

/**
 * WGSL that multiplies one vector of a row with bytes of x: `fn w0_product(row, vector, x0, x1, …, sum)`, in their
 * steps, and what it calls; `sum` is that of the bytes. Codes of 4 bits are bytes as they are, those of 8 are signed
 * ones when 128 is taken off.
 */
export function roundedProductFunction({ matrices, columns }: LinearSpec, matrix: number): string {
  const { form, outputs } = matrices[matrix]!;
  if (!isCoded(form)) throw new BackendError('unsupported', `products of bytes with ${form.kind}`);
  const name = `w${matrix}`;
  const isSigned = becomesSigned(form);
  const bytes = bytesOf(form).map((word) => (isSigned ? `${word} ^ 0x80808080u` : word));
  const vectorsPerBlock = form.block / columnsPerVector(form);
  const zero = isSigned ? '(scale.y - 128.0)' : 'scale.y';
  return [
    scaleFunction({ name, form, outputs, columns }),
    '',
    [
      `fn ${name}_product(`,
      '  row: u32,',
      '  vector: u32,',
      ...bytes.map((_, i) => `  x${i}: u32,`),
      '  sum: i32,',
      ') -> f32 {',
    ].join('\n'),
    `  let bits = ${name}[row * ${vectorsPerRow(form, columns)}u + vector];`,
    '  var total = 0;',
    ...bytes.map((word, i) => `  total += dot4I8Packed(${word}, x${i});`),
    `  let scale = ${name}_scale(row, vector${vectorsPerBlock === 1 ? '' : ` / ${vectorsPerBlock}u`});`,
    needsSum(form) ? `  return scale.x * (f32(total) - ${zero} * f32(sum));` : '  return scale.x * f32(total);',
    '}',
  ].join('\n');
}

/** Zero points of 128 are taken off with the sign. */
function needsSum(form: MatrixForm): boolean {
  return isCoded(form) && (form.zeros || !becomesSigned(form));
}

/** A code of 8 bits is no signed byte as it is. */
function becomesSigned({ kind }: CodeForm): boolean {
  return formats[kind].bits === 8;
}

/**
 * WGSL `fn products_…(start, rows, lane, local)`, as `productsFunction` has it, of x rounded to bytes: 127 is the
 * largest magnitude of a block. Eight invocations round a block together; they tell each other their largest elements
 * through memory, in two halves by turns, so that one barrier a round is enough.
 */
export function roundedProductsFunction(
  name: string,
  staging: Staging,
  spec: LinearSpec,
  slots: Slots,
  { invocations, lanes, slots: count }: MatvecTuning,
): string {
  const { form, fours, vectors, total, stride } = staging;
  const rounds = Math.ceil(total / vectors);
  const { column, elements } = elementsOf(form);
  const type = `vec${count}`;
  const xs = Array.from({ length: fours }, (_, i) => `x${i}`);
  const isSummed = slots.some((matrix) => needsSum(spec.matrices[matrix]!.form));
  const vectorsPerStep = BLOCK / columnsPerVector(form);
  const body = [
    ...(rounds > 1 ? ['workgroupBarrier();'] : []),
    `for (var begin = 0u; begin < ${fours * vectors}u; begin += ${invocations}u) {`,
    '  let i = begin + local;',
    `  let vector = i / ${fours}u;`,
    `  let four = i % ${fours}u;`,
    '  var values = vec4<f32>();',
    `  if (i < ${fours * vectors}u) {`,
    `    let column = ${column};`,
    `    values = vec4<f32>(${elements.join(', ')});`,
    '  }',
    '  let sizes = abs(values);',
    `  let turn = begin / ${invocations}u % 2u * ${invocations}u;`,
    '  peaks[turn + local] = max(max(sizes.x, sizes.y), max(sizes.z, sizes.w));',
    '  workgroupBarrier();',
    '  var peak = 0.0;',
    `  for (var k = 0u; k < ${ROUNDERS}u; k++) { peak = max(peak, peaks[turn + local / ${ROUNDERS}u * ${ROUNDERS}u + k]); }`,
    `  if (i < ${fours * vectors}u) {`,
    '    // less than any number that matters, whose inverse may be infinite',
    '    let inverse = select(0.0, 127.0 / peak, peak > 1e-30);',
    `    staged[four * ${stride}u + vector] = pack4xI8(vec4<i32>(round(values * inverse)));`,
    `    if (i % ${ROUNDERS}u == 0u) { steps[i / ${ROUNDERS}u] = peak / 127.0; }`,
    '  }',
    '}',
    'workgroupBarrier();',
    `for (var vector = lane; vector < ${total % vectors === 0 ? `${vectors}u` : `min(${vectors}u, ${total}u - first)`}; vector += ${lanes}u) {`,
    ...xs.map((x, i) => `  let ${x} = staged[${i === 0 ? '' : `${i * stride}u + `}vector];`),
    '  var sum = 0;',
    ...(isSummed ? xs.map((x) => `  sum += dot4I8Packed(${x}, 0x01010101u);`) : []),
    `  let step = steps[vector${vectorsPerStep === 1 ? '' : ` / ${vectorsPerStep}u`}];`,
    ...slots.map(
      (matrix, slot) =>
        `  total.${COMPONENTS[slot]} += step * w${matrix}_product(rows.${COMPONENTS[slot]}, first + vector, ${xs.join(', ')}, sum);`,
    ),
    '}',
  ];
  const indent = (lines: readonly string[], by: string) => lines.map((line) => by + line);
  return [
    `fn ${name}(start: u32, rows: ${type}<u32>, lane: u32, local: u32) -> ${type}<f32> {`,
    `  var total = ${type}<f32>();`,
    ...(rounds > 1
      ? [`  for (var first = 0u; first < ${total}u; first += ${vectors}u) {`, ...indent(body, '    '), '  }']
      : ['  let first = 0u;', ...indent(body, '  ')]),
    '  return total;',
    '}',
  ].join('\n');
}
