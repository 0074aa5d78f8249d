import { expect, test } from 'vitest';
import { evaluateGraph } from '../../ir/evaluate.ts';
import { rangeCollector } from '../../ir/observe/ranges.ts';
import { parseGraph } from '../../ir/parse.ts';
import { tensorData, tensorOf } from '../../ir/tensor.ts';
import { testFields } from '../testing/bundle.ts';
import { summarizeRanges } from './activation_ranges.ts';

test('values that a cast rounds, with what comes near the limit; sums of the residual stream are not among them', async () => {
  const graph = parseGraph(
    `graph decoder {
      input %x: f32[1, 2]
      weight %w: f32[2, 2]
      %y: f32[1, 2] = linear %x, %w
      %sum: f32[1, 2] = add %x, %y
      output "sum" = %sum
    }`,
    { weight: ({ dtype, shape }) => tensorData(tensorOf(dtype, shape, [20000, 0, 0, 1])) },
  );
  const { observe, ranges } = rangeCollector();
  await evaluateGraph(graph, { x: tensorOf('f32', [1, 2], [1, 3]) }, { observe });
  const { cases, values, findings } = summarizeRanges({ graphs: [graph], metadata: testFields.program }, ranges, 7);
  expect(cases).toBe(7);
  expect(values).toContainEqual({ graph: 'decoder', value: 'y', absMax: 20000 });
  expect(values.map(({ value }) => value)).not.toContain('sum');
  expect(findings).toMatchObject([{ value: 'y', kind: 'overflow', kept: true }]);
});
