import type { TensorData } from '../tensor.ts';

const views = new WeakMap<TensorData, Map<string, TensorData>>();

/** One view of each kind of a weight, for as long as it lives: what is shared stays shared, by identity. */
export function memoView(data: TensorData, kind: string, make: (data: TensorData) => TensorData): TensorData {
  const known = views.get(data) ?? new Map<string, TensorData>();
  views.set(data, known);
  const made = known.get(kind) ?? make(data);
  known.set(kind, made);
  return made;
}
