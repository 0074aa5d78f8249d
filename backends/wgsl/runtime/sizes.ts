import type { Extent, PlannedBuffer, Size } from '../bundle/plan.ts';

/** Values of the symbols of a plan, by index. */
export type Sizes = readonly number[];

/** What a size is once its symbols have values. */
export function sizeOf({ constant, terms }: Size, sizes: Sizes): number {
  return terms.reduce((sum, { symbol, factor }) => sum + factor * sizes[symbol]!, constant);
}

/** The product of sizes: elements of a shape. */
export function productOf(factors: readonly Size[], sizes: Sizes): number {
  return factors.reduce((product, factor) => product * sizeOf(factor, sizes), 1);
}

/** Workgroups along an axis: enough for all, rounded up. */
export function extentOf({ factors, divide }: Extent, sizes: Sizes): number {
  return Math.ceil(productOf(factors, sizes) / divide);
}

/** Bytes that a buffer needs: never none, since a binding may not be empty. */
export function bytesOf(buffer: PlannedBuffer, sizes: Sizes): number {
  return buffer.sizes.reduce((most, { factors, bytes }) => Math.max(most, bytes * productOf(factors, sizes)), 16);
}
