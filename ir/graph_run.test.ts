import { expect, test } from 'vitest';
import { yetToBeTaken, type GraphRun } from './graph_run.ts';
import { tensor } from './testing/run_op.ts';

test('what is yet to be taken of a run is what open inputs of others are', () => {
  const past = (run: number) => ({ a: { run, output: 'A' }, b: { run, output: 'B' }, x: tensor('f32', [1]) });
  const runs: GraphRun[] = [{ inputs: { x: tensor('f32', [1]) } }, { inputs: past(0) }, { inputs: past(1) }];
  const taken = (isOpen: (run: number, input: string) => boolean) =>
    yetToBeTaken(runs, isOpen).map((names) => [...names]);
  expect(taken(() => true)).toEqual([['A', 'B'], ['A', 'B'], []]);
  expect(taken((_, input) => input === 'b')).toEqual([['B'], ['B'], []]);
  expect(taken((run) => run === 2)).toEqual([[], ['A', 'B'], []]);
});
