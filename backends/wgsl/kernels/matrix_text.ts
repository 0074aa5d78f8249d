import { formats } from '../../../ir/formats/index.ts';
import { levelsOf } from './codebook_text.ts';
import { columnsPerVector, isCoded, scaleWordsPerRow, vectorsPerRow, type MatrixForm } from './matrix_form.ts';

export interface MatrixText {
  /** Name of the matrix's binding. */
  readonly name: string;
  readonly form: MatrixForm;
  readonly outputs: number;
  readonly columns: number;
}

/**
 * WGSL that reads a matrix: `fn <name>_four(row: u32, column: u32) -> vec4<f32>`, four neighbours from a column that is
 * a multiple of 4. Columns beyond K that share a vector with K are undefined numbers. Beside it stands what
 * `codebookFunctions` has of its form.
 */
export function fourFunction(matrix: MatrixText): string {
  const { name, form, columns } = matrix;
  const per = columnsPerVector(form);
  const vectors = vectorsPerRow(form, columns);
  const at = `let bits = ${name}[row * ${vectors}u + column / ${per}u]`;
  const head = `fn ${name}_four(row: u32, column: u32) -> vec4<f32> {`;
  if (form.kind === 'f32') return `${head}\n  ${at};\n  return bitcast<vec4<f32>>(bits);\n}`;
  if (form.kind === 'f16') {
    const word = (offset: string) =>
      `unpack2x16float(${name}[row * ${vectors}u + column / 8u][(column / 2u) % 4u${offset}])`;
    return `${head}\n  return vec4<f32>(${word('')}, ${word(' + 1u')});\n}`;
  }
  const { bits, codebook } = formats[form.kind];
  const perWord = 32 / bits;
  const shifts = [0, 1, 2, 3].map((i) => `${i * bits}u`).join(', ');
  const codes = `(vec4<u32>(bits) >> vec4<u32>(${shifts})) & vec4<u32>(${2 ** bits - 1}u)`;
  return [
    scaleFunction(matrix),
    '',
    head,
    `  ${at}[(column / ${perWord}u) % 4u]${perWord > 4 ? ` >> (${bits}u * (column % ${perWord}u))` : ''};`,
    `  let codes = ${codebook ? levelsOf(form, codes) : `vec4<f32>(${codes})`};`,
    `  let scale = ${name}_scale(row, column / ${form.block}u);`,
    `  return ${codebook ? 'codes' : '(codes - scale.y)'} * scale.x;`,
    '}',
  ].join('\n');
}

/** The same of a matrix of f16 as it is stored, `-> vec4<f16>`: for shaders with `enable f16;`. */
export function halvesFunction({ name, form, columns }: MatrixText): string {
  const at = `${name}[row * ${vectorsPerRow(form, columns)}u + column / 8u]`;
  return [
    `fn ${name}_four(row: u32, column: u32) -> vec4<f16> {`,
    `  let bits = ${at};`,
    '  return bitcast<vec4<f16>>(select(bits.xy, bits.zw, column % 8u == 4u));',
    '}',
  ].join('\n');
}

/** WGSL `fn <name>_scale(row: u32, block: u32) -> vec2<f32>`: scale and zero point of a block. Only of codes. */
export function scaleFunction({ name, form, outputs, columns }: MatrixText): string {
  if (!isCoded(form)) return '';
  const words = scaleWordsPerRow(form, columns);
  const base = outputs * vectorsPerRow(form, columns) * 4;
  const head = `fn ${name}_scale(row: u32, block: u32) -> vec2<f32> {`;
  if (form.wide)
    return [
      head,
      `  let at = ${base}u + row * ${words}u + 2u * block;`,
      `  return bitcast<vec2<f32>>(vec2<u32>(${name}[at / 4u][at % 4u], ${name}[at / 4u][at % 4u + 1u]));`,
      '}',
    ].join('\n');
  if (form.zeros)
    return [
      head,
      `  let at = ${base}u + row * ${words}u + block;`,
      `  return unpack2x16float(${name}[at / 4u][at % 4u]);`,
      '}',
    ].join('\n');
  const { bits, codebook } = formats[form.kind];
  const zero = codebook ? '0.0' : `${2 ** (bits - 1)}.0`;
  return [
    head,
    `  let at = ${base}u + row * ${words}u + block / 2u;`,
    `  return vec2<f32>(unpack2x16float(${name}[at / 4u][at % 4u])[block % 2u], ${zero});`,
    '}',
  ].join('\n');
}
