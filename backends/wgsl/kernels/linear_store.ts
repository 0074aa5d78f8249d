import { partsOf, type LinearResult, type LinearSpec } from './linear.ts';
import { dimText, productText } from './wgsl_text.ts';

/**
 * Results of the matrices that `store` takes for one column: those of its parts, or both halves of a pair that is
 * rotated.
 */
export function valuesOf(result: LinearResult): number {
  if (result.kind === 'plain') return result.parts.length;
  return result.kind === 'rope' || result.rotated ? 2 : 1;
}

/** Columns that `store` is called for: rotated pairs, or elements. */
export function columnsOf(result: LinearResult): number {
  const { count } = partsOf(result)[0];
  return result.kind !== 'plain' && valuesOf(result) === 2 ? count / 2 : count;
}

/** WGSL functions of the epilogues, each once. */
export function epilogueFunctions({ results }: LinearSpec): readonly string[] {
  return [...new Set(results.flatMap((result) => (result.kind === 'plain' ? result.epilogue.functions : [])))];
}

/** WGSL `fn store<i>(row: u32, column: u32, y0: f32, …)`, which puts a result where it belongs. */
export function storeFunction(result: LinearResult, i: number): string {
  const values = Array.from({ length: valuesOf(result) }, (_, p) => `y${p}: f32`).join(', ');
  return [
    `fn store${i}(row: u32, column: u32, ${values}) {`,
    ...statements(result, i).map((line) => `  ${line}`),
    '}',
  ].join('\n');
}

function statements(result: LinearResult, i: number): readonly string[] {
  if (result.kind === 'plain') {
    const stride = result.stride ?? result.parts[0]!.count;
    const offset = result.offset ? `${result.offset}u + ` : '';
    return [`let value = ${result.epilogue.text};`, `out${i}[row * ${stride}u + ${offset}column] = value;`];
  }
  const { headDim } = result;
  const half = headDim / 2;
  const isPair = valuesOf(result) === 2;
  const width = isPair ? half : headDim;
  const place = [`let head = column / ${width}u;`, `let i = column % ${width}u;`];
  const at = `let at = ${placeText(result)} * ${headDim}u + i;`;
  if (!isPair) return [...place, at, `out${i}[at] = y0;`];
  const scaled =
    result.kind === 'rope' && result.scale !== 1
      ? (text: string) => `(${text}) * ${result.scale}f`
      : (text: string) => text;
  return [
    ...place,
    `let angle = u32(positions[row]) * ${headDim}u + i;`,
    'let cosine = rope[angle];',
    `let sine = rope[angle + ${half}u];`,
    at,
    `out${i}[at] = ${scaled('y0 * cosine - y1 * sine')};`,
    `out${i}[at + ${half}u] = ${scaled('y1 * cosine + y0 * sine')};`,
  ];
}

/** The number of a head's row in memory. */
function placeText(result: Exclude<LinearResult, { kind: 'plain' }>): string {
  if (result.kind === 'rope') return `(row * ${result.heads}u + head)`;
  const [batch, position] =
    result.seq === 1
      ? ['row', 'dims.past']
      : [`row / ${dimText(result.seq)}`, `dims.past + row % ${dimText(result.seq)}`];
  return `((${batch} * ${result.heads}u + head) * dims.capacity + ${position})`;
}

/** `x[batch_size * seq, 2048]` as comments say it. */
export function inputDoc({ rows, columns }: LinearSpec): string {
  return `x[${productText(rows)
    .replaceAll('dims.', '')
    .replace(/\b(\d+)u\b/g, '$1')}, ${columns}]`;
}

/** What becomes of a result, for the comment of a kernel. */
export function resultDoc(result: LinearResult, i: number): string {
  const rows = partsOf(result)
    .map(({ matrix, first, count }) => `w${matrix}[${first}..${first + count}]`)
    .join(', ');
  if (result.kind === 'plain') return `out${i}: of rows ${rows}`;
  const heads = `${result.heads} heads of ${result.headDim}`;
  if (result.kind === 'rope') return `out${i}: of rows ${rows}, ${heads}, rotated`;
  return `out${i}: of rows ${rows}, ${heads}, ${result.rotated ? 'rotated, ' : ''}into the cache`;
}
