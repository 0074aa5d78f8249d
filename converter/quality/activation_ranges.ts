import type { Program } from '../../ir/graph.ts';
import { planF16 } from '../../ir/observe/f16_range.ts';
import type { Ranges } from '../../ir/observe/ranges.ts';
import { narrowedBy } from '../../ir/passes/cast_floats.ts';
import type { RangesSummary } from './report.ts';

/** What ranges say of a cast to f16: of every value that it would round, the largest, and what must stay f32. */
export function summarizeRanges({ graphs }: Program, ranges: Ranges, cases: number): RangesSummary {
  const values = graphs.flatMap((graph) => {
    const narrow = narrowedBy(graph, { to: 'f16' });
    return [...(ranges.get(graph.name) ?? [])].flatMap(([value, { value: range, products }]) => [
      ...(products && narrow.ops.has(value)
        ? [{ graph: graph.name, value: `${value} (scores)`, absMax: products.absMax }]
        : []),
      ...(narrow.values.has(value) ? [{ graph: graph.name, value, absMax: range.absMax }] : []),
    ]);
  });
  return { cases, values, findings: planF16(graphs, ranges).findings };
}
