import type { Dim } from '../../../ir/dim.ts';
import { codebookFunctions } from './codebook_text.ts';
import type { Epilogue } from './epilogue.ts';
import { ELEMENTS, perElement } from './indexing.ts';
import { ONE, type Kernel } from './kernel.ts';
import { formName, matrixBinding, type MatrixForm } from './matrix_form.ts';
import { fourFunction } from './matrix_text.ts';
import { productText } from './wgsl_text.ts';

export interface GatherSpec {
  /** Sizes whose product is the number of ids. */
  readonly rows: readonly Dim[];
  readonly columns: number;
  readonly form: MatrixForm;
  /**
   * Rows [first, first + count) of the table, a binding each: w0, w1, … Ids that lie in none are left as they are, for
   * another kernel.
   */
  readonly parts: readonly { readonly first: number; readonly count: number }[];
  /** Of y0, row, column. */
  readonly epilogue: Epilogue;
}

/** Rows of a table as f32 [rows, columns]: bindings ids (i32), w0, w1, …, the epilogue's operands, out. */
export function gatherKernel({ rows, columns, form, parts, epilogue }: GatherSpec): Kernel {
  const fours = Math.ceil(columns / 4);
  const reads = parts.map(({ first, count }, i) => {
    const condition = first === 0 ? `id < ${count}u` : `id - ${first}u < ${count}u`;
    return [
      `${i === 0 ? '' : 'else '}if (${condition}) { four = w${i}_four(${first === 0 ? 'id' : `id - ${first}u`}, first_column); }`,
    ];
  });
  const statements = [
    `let row = index / ${fours}u;`,
    `let first_column = 4u * (index % ${fours}u);`,
    'let id = u32(ids[row]);',
    'var four: vec4<f32>;',
    ...reads.flat(),
    'else { return; }',
    `for (var i = 0u; i < ${columns % 4 === 0 ? '4u' : `min(4u, ${columns}u - first_column)`}; i++) {`,
    '  let column = first_column + i;',
    '  let y0 = four[i];',
    `  out[row * ${columns}u + column] = ${epilogue.text};`,
    '}',
  ];
  const functions = parts.map(({ count }, i) => fourFunction({ name: `w${i}`, form, outputs: count, columns }));
  return {
    name: `gather_${formName(form)}`,
    doc: `Rows of a table of ${columns} columns (${formName(form)}) at ids: an invocation four neighbours.`,
    bindings: [
      { name: 'ids', type: 'array<i32>', access: 'read' },
      ...parts.map((_, i) => matrixBinding(`w${i}`)),
      ...epilogue.operands.map(({ name, type }) => ({ name, type, access: 'read' as const })),
      { name: 'out', type: 'array<f32>', access: 'read_write' },
    ],
    body: [
      ...epilogue.functions,
      ...codebookFunctions([form]),
      ...functions,
      perElement(productText([...rows, fours]), statements),
    ].join('\n\n'),
    grid: [{ factors: [...rows, fours], divide: ELEMENTS }, ONE, ONE],
  };
}
