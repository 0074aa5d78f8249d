import { expect, test } from 'vitest';
import type { VerifyReport } from '../../verify/verify.ts';
import { adviceOf } from './advice.ts';
import { faultyReport, soundReport } from './testing/reports.ts';

const bisection = { case: 'x', passes: [] };
const difference = {
  tensor: 'lm_head.weight',
  weight: 'lm.head',
  part: 'values',
  file: 'onnx/decoder.onnx_data',
  offset: 4,
  row: 0,
  element: 1,
  found: '1',
  expected: '2',
} as const;
const wrong: Partial<VerifyReport> = {
  links: { ...faultyReport.links!, weights: { verdict: 'failed', tensors: 9, elements: 9 } },
  weights: {
    passed: false,
    tensors: 9,
    elements: 9,
    bytes: 36,
    differences: [difference],
    problems: [],
    unknown: [],
    seconds: 1,
  },
};

test('of weights that are not the checkpoint’s it is of weights, whatever else differs', () => {
  for (const found of [{}, { bisection }]) {
    const advice = adviceOf({ ...faultyReport, ...wrong, ...found });
    expect(advice).toHaveLength(1);
    expect(advice[0]).toContain('not the checkpoint (lm_head.weight in onnx/decoder.onnx_data first)');
  }
  const fault = { pass: 'fuse', graph: 'decoder', place: 'lm.0', relativeL2: 1, limit: 0 };
  expect(adviceOf({ ...faultyReport, ...wrong, bisection: { ...bisection, fault } })).toHaveLength(2);
});

test('of weights that hold it is of what comes behind', () => {
  expect(adviceOf({ ...faultyReport, bisection })).toEqual([
    expect.stringMatching(
      /^Every pass keeps the values, so what differs came in lowering or in the runtime: try another/,
    ),
  ]);
  expect(adviceOf(faultyReport)).toEqual([expect.stringMatching(/^The weights are the checkpoint’s.+--bisect/)]);
});

test('of weights that were not compared it is to compare them', () => {
  const links = { ...faultyReport.links!, weights: { verdict: 'not tried', reason: 'another checkpoint' } as const };
  for (const found of [{ links }, { links, bisection }])
    expect(adviceOf({ ...faultyReport, ...found })[0]).toMatch(/^The stored weights were not all compared/);
});

test('of another original it is of the original only where the bundle computes what its checkpoint says', () => {
  const original = { verdict: 'failed', passed: 0, checks: 2 } as const;
  const of = (program: 'held' | 'not tried') =>
    adviceOf({ ...faultyReport, links: { ...faultyReport.links!, program: { verdict: program }, original } });
  expect(of('held')).toEqual([expect.stringMatching(/^The bundle computes what pgconv reads .+ --reference/)]);
  expect(of('not tried')).toEqual([expect.stringMatching(/^Whether the bundle .+ was not tried: .+ --reference/)]);
});

test('there is none for a bundle that passed', () => {
  expect(adviceOf(soundReport)).toEqual([]);
});
