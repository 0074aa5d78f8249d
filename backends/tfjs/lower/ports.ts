import { printDim, type Dim } from '../../../ir/dim.ts';

/** A shape as ports state it. */
export function portShape(shape: readonly Dim[]): readonly (number | string)[] {
  return shape.map((dim) => (typeof dim === 'number' ? dim : printDim(dim)));
}
