import type { Dim } from '../../../ir/dim.ts';
import type { ElementType } from '../bundle/plan.ts';
import type { ScalarFunction } from './scalar_text.ts';

/**
 * A tensor as what its elements are made of, so that one kernel makes it from what is stored, whatever is reshaped,
 * broadcast or moved in between. Nodes may be shared: what is the same object at the same coordinates is computed once.
 */
export type ValueExpression = ValueNode & { readonly type: ElementType; readonly shape: readonly Dim[] };

export type ValueNode =
  /** Element `coordinates` of storage binding `index`, laid out as storedShape(shape). */
  | { readonly kind: 'operand'; readonly index: number }
  /** One number; the shape may be any with all sizes 1 (or []). */
  | { readonly kind: 'literal'; readonly value: number }
  /** The value of a size, i32, shape []. */
  | { readonly kind: 'dim'; readonly dim: Dim }
  /** 0, 1, …: i32, one axis. */
  | { readonly kind: 'iota' }
  /** Inputs broadcast to the shape as the IR's elementwise ops do; `cast` goes from its input's type to this one. */
  | ({ readonly kind: 'op'; readonly inputs: readonly ValueExpression[] } & ScalarFunction)
  /** The same elements in C order. */
  | { readonly kind: 'reshape'; readonly input: ValueExpression }
  | { readonly kind: 'expand'; readonly input: ValueExpression }
  | { readonly kind: 'transpose'; readonly perm: readonly number[]; readonly input: ValueExpression }
  /** From `begin` on, as many as the shape says. */
  | { readonly kind: 'slice'; readonly axis: number; readonly begin: number; readonly input: ValueExpression }
  /** The last ones of an axis, as many as the shape says. */
  | { readonly kind: 'take_last'; readonly axis: number; readonly input: ValueExpression }
  | { readonly kind: 'concat'; readonly axis: number; readonly inputs: readonly ValueExpression[] }
  /** Rows of table[R, ...] at indices[...] (i32): shape [...indices, ...row]. */
  | { readonly kind: 'gather'; readonly table: ValueExpression; readonly indices: ValueExpression };
