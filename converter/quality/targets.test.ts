import { expect, test } from 'vitest';
import { readTree, section, tableRows } from '../../verify/environment/markdown.ts';
import { testFields } from '../testing/bundle.ts';
import { judge, targetsOf } from './targets.ts';

const { program } = testFields;
const limits = (...[precision, help]: [Parameters<typeof targetsOf>[0], Parameters<typeof targetsOf>[2]]) =>
  Object.fromEntries(
    targetsOf(precision, program, help).map(({ metric, atMost, atLeast }) => [metric, atMost ?? atLeast]),
  );

test('f32 is judged by its logits, tokens and masks', () => {
  expect(limits('fp32', 'none')).toEqual({ maxAbsLogit: 1e-4, sameTop1OffTies: 1, greedyDifferent: 0, maskDrop: 0.01 });
});

/** Of docs/precision-targets.md, by precision. */
const rows = tableRows(section(readTree('docs/precision-targets.md'), 'What each precision may lose')).slice(1);
const limitsOf = (cells: readonly string[]) => ({
  meanKld: Number(cells[1]),
  sameTop1: Number(cells[2]!.replace(' %', '')) / 100,
  taskDrop: Number(cells[3]),
  maskDrop: Number(cells[4]),
});

test.each(['fp16', 'int8', 'int4', 'nf4', 'q4f16'] as const)('%s has the targets of the document', (precision) => {
  const own = rows.filter(([names]) => names!.split(', ').includes(precision));
  expect(limits(precision, 'none')).toEqual(limitsOf(own[0]!));
  expect(limits(precision, 'mixed or calibrated')).toEqual(limitsOf(own.at(-1)!));
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
  expect(verdicts({ maskDrop: 0.0101 })).toEqual({ maskDrop: false });
  expect(verdicts({ maskDrop: -0.2 }), 'better masks are no fault').toEqual({ maskDrop: true });
  expect(verdicts({ meanKld: Number.NaN, taskDrop: -0.5 })).toEqual({ meanKld: false, taskDrop: true });
});
