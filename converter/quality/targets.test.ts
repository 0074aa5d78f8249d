import { expect, test } from 'vitest';
import { testFields } from '../testing/bundle.ts';
import { judge, targetsOf } from './targets.ts';

const { program } = testFields;
const limits = (...[precision, help]: [Parameters<typeof targetsOf>[0], Parameters<typeof targetsOf>[2]]) =>
  Object.fromEntries(
    targetsOf(precision, program, help).map(({ metric, atMost, atLeast }) => [metric, atMost ?? atLeast]),
  );

test('the table of design/precision.md', () => {
  expect(limits('fp32', 'none')).toEqual({ maxAbsLogit: 1e-4, sameTop1OffTies: 1, greedyDifferent: 0 });
  expect(limits('fp16', 'none')).toEqual({ meanKld: 1e-4, sameTop1: 0.995, taskDrop: 0.1 });
  expect(limits('int8', 'none')).toEqual({ meanKld: 2e-3, sameTop1: 0.975, taskDrop: 0.3 });
  expect(limits('int4', 'none')).toEqual({ meanKld: 0.04, sameTop1: 0.92, taskDrop: 1.3 });
  expect(limits('q4f16', 'mixed or calibrated')).toEqual({ meanKld: 0.03, sameTop1: 0.93, taskDrop: 1 });
});

test('a value at its limit meets it, beyond or NaN it does not, and what was not measured is not judged', () => {
  const targets = targetsOf('fp16', program, 'none');
  const verdicts = (measured: Parameters<typeof judge>[1]) =>
    Object.fromEntries(judge(targets, measured).map(({ metric, passed }) => [metric, passed]));
  expect(verdicts({ meanKld: 1e-4, sameTop1: 0.995 })).toEqual({ meanKld: true, sameTop1: true });
  expect(verdicts({ meanKld: 1.01e-4, sameTop1: 0.99, taskDrop: 0.5 })).toEqual({
    meanKld: false,
    sameTop1: false,
    taskDrop: false,
  });
  expect(verdicts({ meanKld: Number.NaN, taskDrop: -0.5 })).toEqual({ meanKld: false, taskDrop: true });
});
