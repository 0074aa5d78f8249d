import { fixedAxis, ONE, type Kernel } from './kernel.ts';
import {
  checkSpec,
  isRotated,
  linearBindings,
  partsOf,
  specName,
  type LinearResult,
  type LinearSpec,
} from './linear.ts';
import { columnsOf, epilogueFunctions, inputDoc, resultDoc, storeFunction, valuesOf } from './linear_store.ts';
import { formats } from '../../../ir/formats/index.ts';
import { codebookFunctions } from './codebook_text.ts';
import { formName, isCoded } from './matrix_form.ts';
import {
  BYTES_OF,
  CODES_OF,
  COMPONENTS,
  elementFunction,
  productFunction,
  productsFunction,
  productsName,
  stagingOf,
  type Slots,
  type Staging,
} from './matvec_products.ts';
import {
  BYTE_PRODUCTS,
  isRoundable,
  roundedMemory,
  roundedProductFunction,
  roundedProductsFunction,
  roundedStaging,
} from './matvec_rounded.ts';
import { tuningOf, type MatvecTuning } from './matvec_tuning.ts';

/** A result, and which workgroups make it. */
interface Share {
  readonly result: LinearResult;
  readonly slots: Slots;
  /** Columns that a group of lanes makes. */
  readonly columns: number;
  readonly firstWorkgroup: number;
  readonly workgroups: number;
}

/** Of what a variant is made. */
interface Way {
  /** Lanes are added up in subgroups. */
  readonly subgroups?: boolean;
  /** x is rounded to bytes. */
  readonly rounded?: boolean;
}

/**
 * Products of few rows with matrices, of which every byte is read once for each row. A group of lanes has 2 or 4 rows
 * of the matrices and each lane every so many vectors of them; x goes through workgroup memory. Rows of x are
 * workgroups in z. The norm's sum of squares is made beside the products by every workgroup. The variant with
 * `subgroups` adds lanes up without memory; there invocations are taken to lie in subgroups in order. Where x may be
 * rounded, products of bytes come before those of floats, each with and without subgroups.
 * @throws BackendError when the spec is not consistent
 */
export function matvecKernel(spec: LinearSpec, tuning: MatvecTuning = tuningOf(spec)): Kernel {
  checkSpec(spec);
  const shares = sharesOf(spec, tuning);
  const forms = spec.matrices
    .map(({ form, outputs }, i) => `w${i}[${outputs}, ${spec.columns}] ${formName(form)}`)
    .join(', ');
  const body = (way: Way) => bodyText(spec, shares, tuning, way);
  const isRounded = spec.mayRound === true && isRoundable(spec);
  return {
    name: `matvec_${specName(spec)}`,
    doc: [
      `${inputDoc(spec)}${spec.norm ? ', RMS-normalised,' : ''} times the transposed ${forms}.`,
      ...spec.results.map(resultDoc),
    ].join('\n'),
    bindings: linearBindings(spec),
    body: body({}),
    grid: [fixedAxis(workgroupsOf(shares)), ONE, { factors: spec.rows, divide: 1 }],
    variants: [
      ...(isRounded
        ? [
            { features: [BYTE_PRODUCTS, 'subgroups'], body: body({ rounded: true, subgroups: true }) },
            { features: [BYTE_PRODUCTS], body: body({ rounded: true }) },
          ]
        : []),
      { features: ['subgroups'], body: body({ subgroups: true }) },
    ],
  };
}

function workgroupsOf(shares: readonly Share[]): number {
  return shares.reduce((sum, share) => sum + share.workgroups, 0);
}

function sharesOf(spec: LinearSpec, { invocations, lanes, slots }: MatvecTuning): readonly Share[] {
  const groups = invocations / lanes;
  let firstWorkgroup = 0;
  return spec.results.map((result) => {
    const values = valuesOf(result);
    const columns = Math.floor(slots / values);
    const parts = partsOf(result);
    const matrices = Array.from(
      { length: columns * values },
      (_, slot) => (result.kind === 'plain' ? parts[slot % values]! : parts[0]).matrix,
    );
    const workgroups = Math.ceil(columnsOf(result) / columns / groups);
    const share: Share = { result, slots: matrices as unknown as Slots, columns, firstWorkgroup, workgroups };
    firstWorkgroup += workgroups;
    return share;
  });
}

function bodyText(
  spec: LinearSpec,
  shares: readonly Share[],
  tuning: MatvecTuning,
  { subgroups = false, rounded = false }: Way,
): string {
  const signatures = [...new Map(shares.map(({ slots }) => [slots.join(), slots])).values()];
  const used = [...new Set(signatures.flat())];
  const forms = used.map((matrix) => spec.matrices[matrix]!.form);
  const codebooks = codebookFunctions(forms);
  const isAffine = forms.some((form) => isCoded(form) && !formats[form.kind].codebook);
  return [
    ...(rounded
      ? roundedMemory(
          signatures.map((slots) => roundedStaging(spec, slots, tuning)),
          tuning,
        )
      : [floatMemory(signatures.map((slots) => stagingOf(spec, slots, tuning)))]),
    `var<workgroup> sums: array<vec${tuning.slots}<f32>, ${tuning.invocations}>;`,
    ...(spec.norm ? [`var<workgroup> squares: array<f32, ${tuning.invocations}>;`] : []),
    elementFunction(spec),
    ...(isAffine && !rounded ? [BYTES_OF] : []),
    ...(codebooks.length > 0 ? [CODES_OF, ...codebooks] : []),
    ...used.map((matrix) => (rounded ? roundedProductFunction(spec, matrix) : productFunction(spec, matrix))),
    ...signatures.map((slots) =>
      rounded
        ? roundedProductsFunction(productsName(slots), roundedStaging(spec, slots, tuning), spec, slots, tuning)
        : productsFunction(spec, slots, tuning),
    ),
    ...(spec.results.some(isRotated) ? [ROW_OF_PAIR] : []),
    ...epilogueFunctions(spec),
    ...shares.map(({ result }, i) => storeFunction(result, i)),
    mainText(spec, shares, tuning, subgroups),
  ].join('\n\n');
}

function floatMemory(stagings: readonly Staging[]): string {
  return `// Four elements of x each, in the order in which the codes come.\nvar<workgroup> staged: array<vec4<f32>, ${Math.max(...stagings.map(({ fours, stride }) => fours * stride))}>;`;
}

function mainText(spec: LinearSpec, shares: readonly Share[], tuning: MatvecTuning, isSubgroups: boolean): string {
  const { invocations, lanes, slots } = tuning;
  const groups = invocations / lanes;
  const type = `vec${slots}`;
  const isOneLoop = new Set(shares.map((share) => share.slots.join())).size === 1;
  const call = (share: Share) => `${productsName(share.slots)}(row * ${spec.columns}u, rows, lane, local)`;
  const builtins = [
    'workgroup_id) workgroup_id: vec3<u32>',
    'num_workgroups) workgroups: vec3<u32>',
    'local_invocation_index) local: u32',
    ...(isSubgroups ? ['subgroup_size) subgroup: u32'] : []),
  ];
  return [
    `@compute @workgroup_size(${invocations})${isSubgroups ? ' @diagnostic(off, subgroup_uniformity)' : ''}`,
    'fn main(',
    ...builtins.map((builtin) => `  @builtin(${builtin},`),
    ') {',
    '  let workgroup = workgroup_id.y * workgroups.x + workgroup_id.x;',
    `  if (workgroup >= ${workgroupsOf(shares)}u) { return; }`,
    '  let row = workgroup_id.z;',
    `  let group = local / ${lanes}u;`,
    `  let lane = local % ${lanes}u;`,
    `  var rows: ${type}<u32>;`,
    `  var total: ${type}<f32>;`,
    ...choice(shares, (share) => [...rowsText(share, groups), ...(isOneLoop ? [] : [`total = ${call(share)};`])]),
    ...(isOneLoop ? [`  total = ${call(shares[0]!)};`] : []),
    ...(isSubgroups ? subgroupReduction(tuning, spec.norm !== undefined) : reduction(tuning, spec.norm !== undefined)),
    ...choice(shares, (share, i) => storeText(spec, share, i, tuning, isSubgroups)),
    '}',
  ].join('\n');
}

/** Statements by which result a workgroup makes. */
function choice(
  shares: readonly Share[],
  statements: (share: Share, i: number) => readonly string[],
): readonly string[] {
  if (shares.length === 1) return statements(shares[0]!, 0).map((line) => `  ${line}`);
  return [
    ...shares.flatMap((share, i) => {
      const end = share.firstWorkgroup + share.workgroups;
      const head =
        i === 0
          ? `if (workgroup < ${end}u) {`
          : i < shares.length - 1
            ? `} else if (workgroup < ${end}u) {`
            : '} else {';
      return [`  ${head}`, ...statements(share, i).map((line) => `    ${line}`)];
    }),
    '  }',
  ];
}

function firstColumn({ firstWorkgroup, columns }: Share, groups: number, group: string): string {
  const workgroup = firstWorkgroup === 0 ? 'workgroup' : `(workgroup - ${firstWorkgroup}u)`;
  return `${columns === 1 ? '' : `${columns}u * `}(${workgroup} * ${groups}u + ${group})`;
}

/** Rows of the matrices for the columns of a group; those beyond the last read it again. */
function rowsText(share: Share, groups: number): readonly string[] {
  const { result } = share;
  const last = columnsOf(result) - 1;
  const values = valuesOf(result);
  const rowOf = (slot: number): string => {
    const column = `min(first + ${Math.floor(slot / values)}u, ${last}u)`;
    const value = slot % values;
    if (result.kind === 'plain') return `${result.parts[value]!.first}u + ${column}`;
    const half = result.headDim / 2;
    return values === 1
      ? `${result.part.first}u + ${column}`
      : `${result.part.first + value * half}u + row_of_pair(${column}, ${half}u)`;
  };
  return [
    `let first = ${firstColumn(share, groups, 'group')};`,
    ...share.slots.map((_, slot) => `rows.${COMPONENTS[slot]} = ${rowOf(slot)};`),
  ];
}

/** WGSL: the row of the first half of a pair, in heads of twice `half` rows. */
const ROW_OF_PAIR = `\
fn row_of_pair(pair: u32, half: u32) -> u32 {
  return pair + pair / half * half;
}`;

/** Adds up what the lanes of a group have, in workgroup memory. */
function reduction({ invocations, lanes }: MatvecTuning, isNormed: boolean): readonly string[] {
  return [
    '  sums[local] = total;',
    ...(isNormed ? ['  squares[local] = square;'] : []),
    '  workgroupBarrier();',
    `  for (var half = ${(isNormed ? invocations : lanes) / 2}u; half > 0u; half /= 2u) {`,
    ...(isNormed
      ? [
          `    if (half < ${lanes}u && lane < half) { sums[local] += sums[local + half]; }`,
          '    if (local < half) { squares[local] += squares[local + half]; }',
        ]
      : ['    if (lane < half) { sums[local] += sums[local + half]; }']),
    '    workgroupBarrier();',
    '  }',
  ];
}

/** The same in subgroups of any size; what they leave apart is added up when it is stored. */
function subgroupReduction({ lanes }: MatvecTuning, isNormed: boolean): readonly string[] {
  return [
    `  let together = min(subgroup, ${lanes}u);`,
    '  for (var mask = 1u; mask < together; mask *= 2u) { total += subgroupShuffleXor(total, mask); }',
    '  sums[local] = total;',
    ...(isNormed ? ['  squares[local] = subgroupAdd(square);'] : []),
    '  workgroupBarrier();',
  ];
}

function storeText(
  spec: LinearSpec,
  share: Share,
  i: number,
  tuning: MatvecTuning,
  isSubgroups: boolean,
): readonly string[] {
  const { result, columns } = share;
  const { invocations, lanes, slots } = tuning;
  const groups = invocations / lanes;
  const values = valuesOf(result);
  const sum = isSubgroups
    ? [
        `var y = vec${slots}<f32>();`,
        `for (var at = 0u; at < ${lanes}u; at += together) { y += sums[group * ${lanes}u + at]; }`,
      ]
    : [`${spec.norm ? 'var' : 'let'} y = sums[group * ${lanes}u];`];
  const norm = !spec.norm
    ? []
    : isSubgroups
      ? [
          'var squared = 0.0;',
          `for (var at = 0u; at < ${invocations}u; at += subgroup) { squared += squares[at]; }`,
          `y *= inverseSqrt(squared / ${spec.columns}.0 + ${spec.norm.epsilon}f);`,
        ]
      : [`y *= inverseSqrt(squares[0] / ${spec.columns}.0 + ${spec.norm.epsilon}f);`];
  const at = columns === 1 ? '0u' : `local % ${columns}u`;
  const value = (p: number) =>
    columns === 1
      ? `y.${COMPONENTS[p]}`
      : `y[${values === 1 ? at : `${values}u * (${at})${p === 0 ? '' : ` + ${p}u`}`}]`;
  return [
    `if (local < ${groups * columns}u) {`,
    ...[
      `let group = local${columns === 1 ? '' : ` / ${columns}u`};`,
      `let column = ${firstColumn(share, groups, 'group')}${columns === 1 ? '' : ` + ${at}`};`,
      ...sum,
      ...norm,
      `if (column < ${columnsOf(result)}u) { store${i}(row, column, ${Array.from({ length: values }, (_, p) => value(p)).join(', ')}); }`,
    ].map((line) => `  ${line}`),
    '}',
  ];
}
