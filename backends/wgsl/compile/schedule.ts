import type { Value } from '../../../ir/graph.ts';
import type { Dispatch, Scratch } from './dispatch.ts';

/**
 * Dispatches in an order in which everything is written before it is read, as near as possible to the order given. A
 * value that several dispatches write, each its part, is there after the last.
 */
export function scheduled(dispatches: readonly Dispatch[]): readonly Dispatch[] {
  const writers = new Map<Value | Scratch, Dispatch[]>();
  for (const dispatch of dispatches)
    for (const memory of memoryOf(dispatch, 'read_write'))
      writers.set(memory, [...(writers.get(memory) ?? []), dispatch]);
  const order = new Set<Dispatch>();
  const open = new Set<Dispatch>();
  const visit = (dispatch: Dispatch) => {
    if (order.has(dispatch)) return;
    if (open.has(dispatch)) throw new Error(`kernels around %${dispatch.label} wait for each other`);
    open.add(dispatch);
    for (const memory of memoryOf(dispatch, 'read')) for (const writer of writers.get(memory) ?? []) visit(writer);
    order.add(dispatch);
  };
  for (const dispatch of dispatches) visit(dispatch);
  return [...order];
}

/** What a dispatch reads or writes, scratch included. */
export function memoryOf({ kernel, operands }: Dispatch, access: 'read' | 'read_write'): readonly (Value | Scratch)[] {
  return operands.flatMap((operand, i) => {
    if (operand.kind === 'range' || kernel.bindings[i]!.access !== access) return [];
    return [operand.kind === 'value' ? operand.value : operand.scratch];
  });
}
