import type { TensorData } from '../../ir/tensor.ts';

/**
 * Where big_vision keeps a model's arrays, beside the state of its training: `params/` of optax, `opt/target/` of the
 * old Flax optimizer; files for publication hold the arrays alone (big_vision's `load_params`).
 */
const ROOTS = ['params/', 'opt/target/'] as const;

/** The prefix of the model's arrays: when there is one, only what lies under it is the model. */
export function rootOf(names: Iterable<string>): string {
  const all = [...names];
  return ROOTS.find((root) => all.some((name) => name.startsWith(root))) ?? '';
}

/** The model's arrays without the root's prefix, and the names of the others. */
export function modelArrays(tensors: ReadonlyMap<string, TensorData>): {
  arrays: ReadonlyMap<string, TensorData>;
  others: readonly string[];
} {
  const root = rootOf(tensors.keys());
  if (root === '') return { arrays: tensors, others: [] };
  const arrays = new Map(
    [...tensors].filter(([name]) => name.startsWith(root)).map(([name, data]) => [name.slice(root.length), data]),
  );
  return { arrays, others: [...tensors.keys()].filter((name) => !name.startsWith(root)) };
}
