import fc from 'fast-check';
import { expect, test } from 'vitest';
import { evaluateGraph } from '../evaluate.ts';
import { IrError } from '../error.ts';
import type { Program } from '../graph.ts';
import { parseGraph } from '../parse.ts';
import { printGraph } from '../print.ts';
import { randomTensor } from '../testing/random.ts';
import { randomGraph } from '../testing/random_graph.ts';
import {
  castFloats,
  decompose,
  eliminateCommonSubexpressions,
  eliminateDeadCode,
  foldConstants,
  runPasses,
  runPassesOnProgram,
  type Pass,
} from './index.ts';

const GRAPH = parseGraph('graph g { input %x: f32[2] %y: f32[2] = sqrt %x output "y" = %y }');
const EXACT = [foldConstants, decompose(new Set()), foldConstants, eliminateCommonSubexpressions, eliminateDeadCode];

test('passes that do not round keep every result of random graphs, bit for bit', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(), { maxLength: 40 }), async (numbers) => {
      const graph = randomGraph(numbers);
      const inputs = { [graph.inputs[0]!.name]: randomTensor('f32', [2, 3, 4], numbers[0] ?? 0) };
      const before = await evaluateGraph(graph, inputs, { stages: ['first'] });
      const after = await evaluateGraph(runPasses(graph, EXACT), inputs, { stages: ['first'] });
      expect(after).toEqual(before);
    }),
    { numRuns: 100 },
  );
});

test('casting a random graph leaves it valid, and a second cast finds nothing', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 40 }), fc.constantFrom('f16', 'bf16'), (numbers, to) => {
      // a cast stands before the first node that needs it, alive or not, and equal casts of the graph's own become one
      const passes = [eliminateDeadCode, castFloats({ to }), eliminateCommonSubexpressions, eliminateDeadCode];
      const once = runPasses(randomGraph(numbers), passes);
      expect(printGraph(runPasses(once, passes))).toBe(printGraph(once));
    }),
    { numRuns: 100 },
  );
});

test('nothing to do gives the same object', () => {
  const program = { graphs: [GRAPH] } as unknown as Program;
  expect(runPasses(GRAPH, EXACT)).toBe(GRAPH);
  expect(runPassesOnProgram(program, EXACT)).toBe(program);
  expect(runPassesOnProgram(program, [castFloats({ to: 'f16', isNarrowPort: () => true })])).not.toBe(program);
});

test('a pass that leaves an invalid graph is named', () => {
  const careless: Pass = { name: 'careless', doc: '', run: (graph) => ({ ...graph, nodes: [] }) };
  expect(() => runPasses(GRAPH, [foldConstants, careless])).toThrow(
    new IrError('pass careless on graph g: graph g, output "y": %y does not exist'),
  );
});

test('a pass that throws is named, and the cause is kept', () => {
  const cause = new RangeError('no');
  const failing: Pass = {
    name: 'failing',
    doc: '',
    run() {
      throw cause;
    },
  };
  expect(() => runPasses(GRAPH, [failing])).toThrow(
    expect.objectContaining({ message: 'pass failing on graph g: no', cause }),
  );
});
