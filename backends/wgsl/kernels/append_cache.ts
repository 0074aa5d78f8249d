import { addDims, type Dim } from '../../../ir/dim.ts';
import { coordinateTexts, ELEMENTS, offsetText, perElement } from './indexing.ts';
import { ONE, type Kernel } from './kernel.ts';
import { dimText, productText } from './wgsl_text.ts';

export interface AppendCacheSpec {
  readonly batch: Dim;
  readonly seq: Dim;
  readonly heads: number;
  readonly headDim: number;
  readonly past: Dim;
}

/**
 * x[batch, seq, heads, headDim] into cache[batch, heads, past + seq, headDim] behind its `past` rows, in place:
 * bindings x, cache.
 */
export function appendCacheKernel({ batch, seq, heads, headDim, past }: AppendCacheSpec): Kernel {
  const shape = [batch, seq, heads, headDim];
  const statements = [
    ...coordinateTexts('index', shape).map((text, axis) => `let ${['b', 's', 'head', 'i'][axis]} = ${text};`),
    `cache[${offsetText(['b', 'head', `(${dimText(past)} + s)`, 'i'], [batch, heads, addDims(past, seq), headDim])}] = x[index];`,
  ];
  return {
    name: 'append_cache',
    doc: `Rows of x[batch, seq, ${heads}, ${headDim}] into the cache of each head, behind what is there: an invocation an element.`,
    bindings: [
      { name: 'x', type: 'array<f32>', access: 'read' },
      { name: 'cache', type: 'array<f32>', access: 'read_write' },
    ],
    body: perElement(productText(shape), statements),
    grid: [{ factors: shape, divide: ELEMENTS }, ONE, ONE],
  };
}
