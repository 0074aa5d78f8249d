import { isFloat } from '../dtypes/index.ts';
import type { Tensor } from '../tensor.ts';
import type { Observation } from './observer.ts';

/**
 * What one value was, over all runs. Infinities and NaN are counted apart: the other numbers are of finite elements.
 */
export interface Range {
  readonly min: number;
  readonly max: number;
  readonly absMax: number;
  readonly nonFinite: number;
  /** Elements seen, in all. */
  readonly count: number;
}

/** The ranges of one value of a graph. */
export interface ValueRanges {
  readonly value: Range;
  /**
   * Of the matrix products inside of the composite that makes it: attention's scores. Other steps stay within what
   * composites promise.
   */
  readonly products?: Range;
}

/** By graph, then by value, in the order in which values were first computed. */
export type Ranges = ReadonlyMap<string, ReadonlyMap<string, ValueRanges>>;

const EMPTY: Range = { min: Infinity, max: -Infinity, absMax: 0, nonFinite: 0, count: 0 };

function rangeOf({ data }: Tensor): Range {
  let [min, max, nonFinite] = [Infinity, -Infinity, 0];
  for (let i = 0; i < data.length; i++) {
    const x = data[i]!;
    if (x - x !== 0) nonFinite++; // NaN for NaN and for infinities
    else {
      if (x < min) min = x;
      if (x > max) max = x;
    }
  }
  return { min, max, absMax: nonFinite === data.length ? 0 : Math.max(-min, max), nonFinite, count: data.length };
}

/** What both have seen. */
export function mergeRanges(a: Range, b: Range): Range {
  return {
    min: Math.min(a.min, b.min),
    max: Math.max(a.max, b.max),
    absMax: Math.max(a.absMax, b.absMax),
    nonFinite: a.nonFinite + b.nonFinite,
    count: a.count + b.count,
  };
}

/** Collects ranges of every float value over any number of runs; in memory one entry for each value. */
export function rangeCollector(): { observe(observation: Observation): void; readonly ranges: Ranges } {
  const ranges = new Map<string, Map<string, ValueRanges>>();
  const observe = ({ graph, value, step, tensor }: Observation): void => {
    if (!isFloat(tensor.dtype) || (step !== undefined && step !== 'matmul')) return;
    const values = ranges.get(graph) ?? new Map<string, ValueRanges>();
    ranges.set(graph, values);
    const known = values.get(value) ?? { value: EMPTY };
    const seen = rangeOf(tensor);
    values.set(
      value,
      step === undefined
        ? { ...known, value: mergeRanges(known.value, seen) }
        : { ...known, products: mergeRanges(known.products ?? EMPTY, seen) },
    );
  };
  return { observe, ranges };
}
