import { codebookFunctions } from './codebook_text.ts';
import { ELEMENTS, perElement } from './indexing.ts';
import { ONE, type Kernel } from './kernel.ts';
import { formName, matrixBinding, type MatrixForm } from './matrix_form.ts';
import { fourFunction } from './matrix_text.ts';

/** A matrix [rows, columns] as f32: bindings w, out. */
export function dequantizeKernel(form: MatrixForm, rows: number, columns: number): Kernel {
  const fours = Math.ceil(columns / 4);
  const statements = [
    `let row = index / ${fours}u;`,
    `let column = 4u * (index % ${fours}u);`,
    'let four = w_four(row, column);',
    `for (var i = 0u; i < ${columns % 4 === 0 ? '4u' : `min(4u, ${columns}u - column)`}; i++) { out[row * ${columns}u + column + i] = four[i]; }`,
  ];
  return {
    name: `dequantize_${formName(form)}`,
    doc: `A matrix [${rows}, ${columns}] (${formName(form)}) as f32: an invocation four neighbours.`,
    bindings: [matrixBinding('w'), { name: 'out', type: 'array<f32>', access: 'read_write' }],
    body: [
      ...codebookFunctions([form]),
      fourFunction({ name: 'w', form, outputs: rows, columns }),
      perElement(`${rows * fours}u`, statements),
    ].join('\n\n'),
    grid: [{ factors: [rows, fours], divide: ELEMENTS }, ONE, ONE],
  };
}
