import type { AttentionSpec } from './attention_spec.ts';
import type { KernelBinding } from './kernel.ts';
import { scalarText } from './scalar_text.ts';
import { dimText, storedShape } from './wgsl_text.ts';

/** Groups of four elements of a head: what kernels read at once. The last is filled up with 0. */
export const foursOf = (headDim: number): number => Math.ceil(headDim / 4);

/** Of an array of heads, row after row of headDim elements. */
function headType(headDim: number): string {
  return headDim % 4 === 0 ? 'array<vec4<f32>>' : 'array<f32>';
}

/** q, k, v, and bias where there is one. */
export function attentionInputs({ headDim, bias }: AttentionSpec): readonly KernelBinding[] {
  const heads = ['q', 'k', 'v'].map((name): KernelBinding => ({ name, type: headType(headDim), access: 'read' }));
  return bias ? [...heads, { name: 'bias', type: 'array<f32>', access: 'read' }] : heads;
}

/** A binding of heads: vectors of `headDim` elements, row after row. */
export function headsBinding(name: string, headDim: number, access: KernelBinding['access']): KernelBinding {
  return { name, type: headType(headDim), access };
}

/** `fn <name>_four(row: u32, four: u32) -> vec4<f32>`: elements 4·four … of a row of heads. */
export function fourReader(name: string, headDim: number): string {
  const head = `fn ${name}_four(row: u32, four: u32) -> vec4<f32> {`;
  if (headDim % 4 === 0) return `${head}\n  return ${name}[row * ${headDim / 4}u + four];\n}`;
  const parts = [0, 1, 2, 3].map((i) => `select(0.0, ${name}[at + ${i}u], rest > ${i}u)`);
  return `${head}\n  let at = row * ${headDim}u + 4u * four;\n  let rest = ${headDim}u - 4u * four;\n  return vec4<f32>(\n    ${parts.join(',\n    ')},\n  );\n}`;
}

/** `fn store_four(row: u32, four: u32, value: vec4<f32>)` into a row of heads. */
export function fourWriter(name: string, headDim: number): string {
  const head = 'fn store_four(row: u32, four: u32, value: vec4<f32>) {';
  if (headDim % 4 === 0) return `${head}\n  ${name}[row * ${headDim / 4}u + four] = value;\n}`;
  return `${head}\n  for (var i = 0u; i < min(4u, ${headDim}u - 4u * four); i++) { ${name}[row * ${headDim}u + 4u * four + i] = value[i]; }\n}`;
}

/** Rows of room that each head of k and v has, as WGSL. */
export function keyRoom({ total }: AttentionSpec): string {
  return dimText(storedShape([total])[0]!);
}

/**
 * `fn score_of(product: f32, b: u32, s: u32, key: u32) -> f32`: the product, capped, with the bias; and what it calls.
 */
export function scoreFunctions(spec: AttentionSpec): readonly string[] {
  const { softcap, bias, seq } = spec;
  const { text, functions } = scalarText({ op: 'tanh' }, [{ text: `product / ${softcap}f`, type: 'f32' }], 'f32');
  const capped = softcap === 0 ? 'product' : `${softcap}f * ${text}`;
  const biased = bias ? `${capped} + bias[(b * ${dimText(seq)} + s) * ${keyRoom(spec)} + key]` : capped;
  return [
    ...(softcap === 0 ? [] : functions),
    `fn score_of(product: f32, b: u32, s: u32, key: u32) -> f32 {\n  return ${biased};\n}`,
  ];
}

/** exp of what is at most 0. Far below, nearly 0 rather than whatever a driver makes of exp(-1e38). */
export const EXP_BELOW = `\
fn exp_below(x: f32) -> f32 {
  return exp(max(x, -100.0));
}`;

/** What is less than any score, masked ones included. */
export const LOWEST = '-3.4e38';

/** `256_mqa8_cap_bias`: of file names. */
export function attentionName({ headDim, heads, kvHeads, softcap, bias }: AttentionSpec): string {
  return [
    headDim,
    ...(heads === kvHeads ? [] : [`group${heads / kvHeads}`]),
    ...(softcap === 0 ? [] : ['cap']),
    ...(bias ? ['bias'] : []),
  ].join('_');
}

/** For the comment at the head of a kernel. */
export function attentionFormula({ heads, kvHeads, headDim, softcap, bias }: AttentionSpec): string {
  const product = softcap === 0 ? 'q·k' : `${softcap} tanh(q·k / ${softcap})`;
  return `softmax(${product}${bias ? ' + bias' : ''})·v, ${heads} heads of ${headDim} over ${kvHeads} of keys and values`;
}
