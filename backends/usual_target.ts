import type { Backend } from './backend.ts';

/** The target that a bundle of a precision is for where nobody says; undefined for a backend that has none. */
export function usualTarget(
  { targets, defaultTarget }: Pick<Backend, 'targets' | 'defaultTarget'>,
  precision: string,
): string | undefined {
  return defaultTarget?.(precision) ?? targets[0];
}
