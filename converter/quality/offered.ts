import { backends } from '../../backends/index.ts';
import type { Variant } from './variant.ts';

/** Those whose backend has the precision: for defaults, which ask for no dtype by name. */
export async function offered(variants: readonly Variant[]): Promise<readonly Variant[]> {
  const has = await Promise.all(variants.map(async ({ backend, precision }) => !Object.hasOwn((await backends[backend]()).refusedPrecisions, precision)));
  return variants.filter((_, i) => has[i]);
}
