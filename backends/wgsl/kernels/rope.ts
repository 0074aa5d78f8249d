import { addDims, type Dim } from '../../../ir/dim.ts';
import { coordinateTexts, ELEMENTS, offsetText, perElement } from './indexing.ts';
import { ONE, type Kernel } from './kernel.ts';
import { dimText, productText } from './wgsl_text.ts';

export interface RopeSpec {
  readonly batch: Dim;
  readonly seq: Dim;
  readonly heads: number;
  readonly headDim: number;
  /** Factor of the result; 1: none. */
  readonly scale: number;
  /**
   * The result goes into a cache [batch, heads, past + seq, headDim] behind its `past` rows, rather than to [batch,
   * seq, heads, headDim].
   */
  readonly append?: { readonly past: Dim };
}

/**
 * x[batch, seq, heads, headDim] rotated: bindings x, positions (i32 [batch, seq]), rope ([P, headDim]: cosines, then
 * sines), out.
 */
export function ropeKernel({ batch, seq, heads, headDim, scale, append }: RopeSpec): Kernel {
  const half = headDim / 2;
  const pairs = [batch, seq, heads, half];
  const statements = [
    ...coordinateTexts('index', pairs).map((text, axis) => `let ${['b', 's', 'head', 'i'][axis]} = ${text};`),
    `let first = x[(index / ${half}u) * ${headDim}u + i];`,
    `let second = x[(index / ${half}u) * ${headDim}u + i + ${half}u];`,
    `let angle = u32(positions[b * ${dimText(seq)} + s]) * ${headDim}u + i;`,
    'let cosine = rope[angle];',
    `let sine = rope[angle + ${half}u];`,
    `let at = ${append ? offsetText(['b', 'head', `(${dimText(append.past)} + s)`, 'i'], [batch, heads, addDims(append.past, seq), headDim]) : `(index / ${half}u) * ${headDim}u + i`};`,
    `out[at] = ${scaled('first * cosine - second * sine', scale)};`,
    `out[at + ${half}u] = ${scaled('second * cosine + first * sine', scale)};`,
  ];
  return {
    name: append ? 'rope_append' : 'rope',
    doc: `Rotates the halves of each head of x[batch, seq, ${heads}, ${headDim}] by the angles of its position${append ? ', into the cache behind what is there' : ''}: an invocation a pair.`,
    bindings: [
      { name: 'x', type: 'array<f32>', access: 'read' },
      { name: 'positions', type: 'array<i32>', access: 'read' },
      { name: 'rope', type: 'array<f32>', access: 'read' },
      { name: 'out', type: 'array<f32>', access: 'read_write' },
    ],
    body: perElement(productText(pairs), statements),
    grid: [{ factors: pairs, divide: ELEMENTS }, ONE, ONE],
  };
}

const scaled = (text: string, scale: number) => (scale === 1 ? text : `(${text}) * ${scale}f`);
