import { findBackend } from '../../backends/find_backend.ts';
import { usualTarget } from '../../backends/usual_target.ts';
import type { Precision } from '../../verify/tolerances.ts';
import type { Variant } from './variant.ts';

/** Those whose backend has the precision: for defaults, which ask for no dtype by name. */
export async function offered(variants: readonly Variant[]): Promise<readonly Variant[]> {
  const has = await Promise.all(variants.map(async ({ backend, precision }) => isOffered(backend, precision)));
  return variants.filter((_, i) => has[i]);
}

async function isOffered(name: string, precision: Precision): Promise<boolean> {
  const backend = await findBackend(name);
  return backend.refusal(precision, usualTarget(backend, precision)) === undefined;
}
