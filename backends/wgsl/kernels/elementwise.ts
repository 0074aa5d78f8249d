import type { ElementType } from '../bundle/plan.ts';
import { ExpressionWriter } from './expression_writer.ts';
import { ELEMENTS, isPacked, offsetText, perElement } from './indexing.ts';
import { ONE, type Kernel } from './kernel.ts';
import type { ValueExpression } from './value_expression.ts';
import { productText } from './wgsl_text.ts';

export interface ElementwiseSpec {
  /** File stem: `attention_mask`, `transpose_0213`. */
  readonly name: string;
  /** The comment at the head. */
  readonly doc: string;
  /** Element types of the storage bindings that expressions call by index. At most 7. */
  readonly operands: readonly ElementType[];
  /** What is stored, at storedShape(result.shape). */
  readonly result: ValueExpression;
}

/** Element types in memory, where WGSL's bool may not lie. */
const STORED: { readonly [Type in ElementType]: string } = { f32: 'f32', i32: 'i32', bool: 'u32' };

/** A kernel that makes a tensor of stored ones: bindings x0, x1, …, out. */
export function elementwiseKernel({ name, doc, operands, result }: ElementwiseSpec): Kernel {
  const writer = new ExpressionWriter();
  const value = writer.elementAt(result, 'index');
  const at = isPacked(result.shape) ? 'index' : offsetText(writer.coordinatesOf('index', result.shape), result.shape);
  const store = `out[${at}] = ${result.type === 'bool' ? `select(0u, 1u, ${value})` : value};`;
  const main = perElement(productText(result.shape), [...writer.statements, store]);
  return {
    name,
    doc,
    bindings: [
      ...operands.map((type, i) => ({ name: `x${i}`, type: `array<${STORED[type]}>`, access: 'read' as const })),
      { name: 'out', type: `array<${STORED[result.type]}>`, access: 'read_write' },
    ],
    body: [...writer.functions, main].join('\n\n'),
    grid: [{ factors: result.shape, divide: ELEMENTS }, ONE, ONE],
  };
}
