import { dtypes } from '../dtypes/index.ts';
import type { Graph } from '../graph.ts';
import { cacheInputOf, castFloats, narrowedBy, type Keep } from '../passes/cast_floats.ts';
import type { Range, Ranges } from './ranges.ts';

/**
 * A value is near the limit when four times the largest that was seen does not fit: two bits of headroom, for inputs
 * that go beyond those that were seen, and for partial sums of products that a GPU adds up in f16.
 */
export const F16_MARGIN = 4;

/** Everything up to here is zero in f16: half of the smallest subnormal, which ties to even. */
const F16_ROUNDS_TO_ZERO = 2 ** -25;

/** What a cast to f16 would have done to a value, and what becomes of it. */
export interface RangeFinding {
  readonly graph: string;
  readonly value: string;
  /**
   * `overflow`: it comes near 65504. `scores`: the product inside of attention does. `underflow`: all of it would be
   * zero. `not finite`: it has infinities or NaN in f32.
   */
  readonly kind: 'overflow' | 'scores' | 'underflow' | 'not finite';
  readonly range: Range;
  /** Whether the value, or the op of the scores, stays f32. */
  readonly kept: boolean;
}

export interface F16Plan {
  /** For castFloats. */
  readonly keep: ReadonlyMap<string, Keep>;
  /** In the order in which values are computed. Those that are not kept fail, or are allowed. */
  readonly findings: readonly RangeFinding[];
}

/**
 * Decides from ranges what a cast to f16 must leave in f32: only what it would round, together with what makes and
 * reads it. A weight beside such a value stays f32 too, at two bytes a weight: where activations are huge, the weights
 * that they meet are tiny, and f16 rounds those to subnormals or zero. `graphs` are those of which ranges were taken.
 */
export function planF16(graphs: readonly Graph[], ranges: Ranges): F16Plan {
  const keep = new Map<string, Keep>();
  const findings: RangeFinding[] = [];
  for (const graph of graphs) {
    const seen = ranges.get(graph.name) ?? new Map<string, never>();
    const narrow = narrowedBy(graph, { to: 'f16' });
    const [values, ops] = [new Set<string>(), new Set<string>()];
    const found: Omit<RangeFinding, 'kept'>[] = [];
    for (const [value, { value: range, products }] of seen) {
      const at = { graph: graph.name, value };
      if (range.nonFinite > 0) found.push({ ...at, kind: 'not finite', range });
      if (narrow.values.has(value) && isNear(range)) found.push({ ...at, kind: 'overflow', range });
      if (narrow.values.has(value) && isLost(range)) found.push({ ...at, kind: 'underflow', range });
      if (products && narrow.ops.has(value) && isNear(products)) found.push({ ...at, kind: 'scores', range: products });
    }
    for (const { value, kind } of found) if (kind !== 'not finite') (kind === 'scores' ? ops : values).add(value);
    for (const { name, value } of graph.outputs) {
      const input = cacheInputOf(name);
      if (input !== undefined && values.has(value.name)) values.add(input); // what goes out comes in again
    }
    if (values.size + ops.size > 0) keep.set(graph.name, { values, ops });
    const left = narrowedBy(graph, { to: 'f16', keep });
    for (const finding of found)
      findings.push({
        ...finding,
        kept: finding.kind !== 'not finite' && !(finding.kind === 'scores' ? left.ops : left.values).has(finding.value),
      });
  }
  return { keep, findings };
}

/**
 * Bytes that weights take in f32 only because of `keep`, beyond what they take without, in graphs as castFloats gets
 * them.
 */
export function keptBytes(graphs: readonly Graph[], keep: F16Plan['keep']): number {
  return graphs.reduce(
    (total, graph) =>
      total +
      weightBytes(castFloats({ to: 'f16', keep }).run(graph)) -
      weightBytes(castFloats({ to: 'f16' }).run(graph)),
    0,
  );
}

function isNear({ absMax }: Range): boolean {
  return absMax * F16_MARGIN >= dtypes.f16.max;
}

function isLost({ absMax }: Range): boolean {
  return absMax > 0 && absMax <= F16_ROUNDS_TO_ZERO;
}

function weightBytes({ constants }: Graph): number {
  return constants.reduce((total, constant) => total + (constant.kind === 'weight' ? constant.data.byteLength : 0), 0);
}
