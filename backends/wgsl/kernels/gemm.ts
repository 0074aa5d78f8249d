import { evaluateDim } from '../../../ir/dim.ts';
import { BackendError } from '../../error.ts';
import { codebookFunctions } from './codebook_text.ts';
import { fixedAxis, ONE, type Kernel } from './kernel.ts';
import { checkSpec, linearBindings, specName, type LinearResult, type LinearSpec } from './linear.ts';
import { epilogueFunctions, inputDoc, resultDoc, storeFunction } from './linear_store.ts';
import { formName } from './matrix_form.ts';
import { fourFunction, halvesFunction, type MatrixText } from './matrix_text.ts';
import { productText } from './wgsl_text.ts';

/** A workgroup is SIDE x SIDE invocations; each has every SIDEth row and column of the tile. */
const SIDE = 16;
/** Columns of the result that an invocation has of each part. */
const COLUMNS = 4;
/** Columns of x and of the matrix that are in workgroup memory at a time, and as vec4. */
const DEPTH = 16;
const FOURS = DEPTH / 4;
/**
 * vec4 between rows of a tile: an odd number, so that 8 invocations that read one column of as many rows meet different
 * banks.
 */
const STRIDE = FOURS + 1;
const COMPONENTS = ['x', 'y', 'z', 'w'] as const;

/**
 * Products of many rows with one matrix, by tiles of 64 rows (16 or 32 where there are known to be no more) by 64
 * columns: tiles of x and of the matrix, whose codes become numbers on the way, lie in workgroup memory, and each
 * invocation has 4 x 4 sums in registers. Products are not written with fma(): GPUs contract them anyway, and software
 * ones call a function for each. A matrix of f16 has a variant with `shader-f16` whose tile stays f16, in half the
 * memory: exact, since a half is what is stored. Tiles of x and sums stay f32: activations of these models exceed what
 * f16 holds. One result, of up to 2 parts of the matrix.
 * @throws BackendError for anything else
 */
export function gemmKernel(spec: LinearSpec): Kernel {
  checkSpec(spec);
  const [result, ...others] = spec.results;
  if (
    result?.kind !== 'plain' ||
    others.length > 0 ||
    spec.norm ||
    spec.matrices.length !== 1 ||
    result.parts.length > 2
  )
    throw new BackendError(
      'unsupported',
      `a product of many rows ${specName(spec)} with a norm, or other than one plain result of one matrix`,
    );
  const [{ form, outputs }] = spec.matrices as [LinearSpec['matrices'][0]];
  const rowsEach = rowsOfInvocation(spec);
  const isVector = spec.columns % 4 === 0;
  const count = result.parts[0]!.count;
  const matrix: MatrixText = { name: 'w0', form, outputs, columns: spec.columns };
  const body = (element: 'f32' | 'f16') =>
    [
      `var<workgroup> x_tile: array<vec4<f32>, ${SIDE * rowsEach * STRIDE}>;`,
      ...result.parts.map((_, p) => `var<workgroup> w_tile${p}: array<vec4<${element}>, ${SIDE * COLUMNS * STRIDE}>;`),
      xFunction(spec.columns),
      ...codebookFunctions([form]),
      element === 'f16' ? halvesFunction(matrix) : fourFunction(matrix),
      ...epilogueFunctions(spec),
      storeFunction(result, 0),
      mainText(spec, result, rowsEach, element),
    ].join('\n\n');
  return {
    name: `gemm_${specName(spec)}`,
    doc: `${inputDoc(spec)} times the transposed w0[${outputs}, ${spec.columns}] ${formName(form)}, in tiles of ${SIDE * rowsEach} x ${SIDE * COLUMNS}.\n${resultDoc(result, 0)}`,
    bindings: linearBindings(spec).map((binding) =>
      binding.name === 'x' && isVector ? { ...binding, type: 'array<vec4<f32>>' } : binding,
    ),
    body: body('f32'),
    // tiles of rows first: neighbours in time read one tile of the matrix
    grid: [{ factors: spec.rows, divide: SIDE * rowsEach }, ONE, fixedAxis(Math.ceil(count / (SIDE * COLUMNS)))],
    ...(form.kind === 'f16' && { variants: [{ features: ['shader-f16'], body: body('f16') }] }),
  };
}

function rowsOfInvocation({ rows }: LinearSpec): number {
  const known = rows.every((dim) => typeof dim === 'number')
    ? rows.reduce<number>((product, dim) => product * evaluateDim(dim, new Map()), 1)
    : Infinity;
  return known <= SIDE ? 1 : known <= 2 * SIDE ? 2 : 4;
}

/** WGSL `fn x_four(row: u32, column: u32) -> vec4<f32>`: four neighbours of x, 0 beyond K. */
function xFunction(columns: number): string {
  const head = 'fn x_four(row: u32, column: u32) -> vec4<f32> {';
  if (columns % 4 === 0) return [head, `  return x[row * ${columns / 4}u + column / 4u];`, '}'].join('\n');
  const element = (i: number) => `    select(0.0, x[min(at + ${i}u, last)], column + ${i}u < ${columns}u),`;
  return [
    head,
    `  let at = row * ${columns}u + column;`,
    `  let last = row * ${columns}u + ${columns - 1}u;`,
    '  return vec4<f32>(',
    ...[0, 1, 2, 3].map(element),
    '  );',
    '}',
  ].join('\n');
}

function mainText(
  spec: LinearSpec,
  result: Extract<LinearResult, { kind: 'plain' }>,
  rowsEach: number,
  element: 'f32' | 'f16',
): string {
  const { columns } = spec;
  const { parts } = result;
  const { count } = parts[0]!;
  const each = Array.from({ length: rowsEach }, (_, i) => i);
  const isWhole = columns % DEPTH === 0;
  const inside = (text: string) => (isWhole ? text : `if (column < ${columns}u) { ${text} }`);
  const fill = (tile: string, tileRows: number, row: string, reader: string, type: string) => [
    `for (var i = local; i < ${tileRows * FOURS}u; i += ${SIDE * SIDE}u) {`,
    `  let row = ${row};`,
    `  let column = depth + 4u * (i % ${FOURS}u);`,
    `  var four = vec4<${type}>();`,
    `  ${inside(`four = ${reader}(row, column);`)}`,
    `  ${tile}[i / ${FOURS}u * ${STRIDE}u + i % ${FOURS}u] = four;`,
    '}',
  ];
  const wide = (four: string) => (element === 'f16' ? `vec4<f32>(${four})` : four);
  const sum = (i: number, p: number) => `sum${i}${parts.length > 1 ? `_${p}` : ''}`;
  const products = parts.flatMap((_, p) => [
    ...Array.from(
      { length: COLUMNS },
      (_unused, j) => `let b${p}${j} = ${wide(`w_tile${p}[(right + ${j * SIDE}u) * ${STRIDE}u + four]`)};`,
    ),
    ...COMPONENTS.map(
      (c) =>
        `let ${c}${p} = vec4<f32>(${Array.from({ length: COLUMNS }, (_unused, j) => `b${p}${j}.${c}`).join(', ')});`,
    ),
    ...each.flatMap((i) => COMPONENTS.map((c) => `${sum(i, p)} += a${i}.${c} * ${c}${p};`)),
  ]);
  const stores = each.flatMap((i) => [
    `if (first_row + down + ${i * SIDE}u < row_count) {`,
    `  for (var j = 0u; j < ${COLUMNS}u; j++) {`,
    `    let column = first_column + right + ${SIDE}u * j;`,
    `    if (column < ${count}u) { store0(first_row + down + ${i * SIDE}u, column, ${parts.map((_, p) => `${sum(i, p)}[j]`).join(', ')}); }`,
    '  }',
    '}',
  ]);
  return [
    `@compute @workgroup_size(${SIDE * SIDE})`,
    'fn main(@builtin(workgroup_id) workgroup: vec3<u32>, @builtin(num_workgroups) workgroups: vec3<u32>, @builtin(local_invocation_index) local: u32) {',
    `  let row_count = ${productText(spec.rows)};`,
    `  let first_row = (workgroup.y * workgroups.x + workgroup.x) * ${SIDE * rowsEach}u;`,
    '  if (first_row >= row_count) { return; }',
    `  let first_column = workgroup.z * ${SIDE * COLUMNS}u;`,
    `  let down = local / ${SIDE}u;`,
    `  let right = local % ${SIDE}u;`,
    ...parts.flatMap((_, p) => each.map((i) => `  var ${sum(i, p)} = vec4<f32>();`)),
    `  for (var depth = 0u; depth < ${columns}u; depth += ${DEPTH}u) {`,
    ...fill('x_tile', SIDE * rowsEach, `min(first_row + i / ${FOURS}u, row_count - 1u)`, 'x_four', 'f32').map(
      (line) => `    ${line}`,
    ),
    ...parts.flatMap(({ first }, p) =>
      fill(
        `w_tile${p}`,
        SIDE * COLUMNS,
        `${first}u + min(first_column + i / ${FOURS}u, ${count - 1}u)`,
        'w0_four',
        element,
      ).map((line) => `    ${line}`),
    ),
    '    workgroupBarrier();',
    `    for (var four = 0u; four < ${FOURS}u; four++) {`,
    ...each.map((i) => `      let a${i} = x_tile[(down + ${i * SIDE}u) * ${STRIDE}u + four];`),
    ...products.map((line) => `      ${line}`),
    '    }',
    '    workgroupBarrier();',
    '  }',
    ...stores.map((line) => `  ${line}`),
    '}',
  ].join('\n');
}
