import { describe, expect, test } from 'vitest';
import type { Op } from '../../ir/op.ts';
import { ops, type OpName } from '../../ir/ops/index.ts';
import { firstDifference, runOp, tensor, valuesOf } from '../../ir/testing/run_op.ts';
import type { OpCase } from './op_case.ts';
import { opCases } from './op_cases.ts';

const formulas = (Object.entries(opCases) as [OpName, readonly OpCase[]][]).flatMap(([name, cases]) =>
  cases.flatMap((one) => ('formula' in one ? [{ name, attrs: one.attrs ?? {}, formula: one.formula as Formula }] : [])),
);
type Formula = (...elements: readonly number[]) => number;

/** The evaluator, which runs what a composite is made of, against a formula that shares no code with it. */
describe.each(formulas)('$name', ({ name, attrs, formula }) => {
  const op: Op = ops[name];
  const operands = op.operands.map((_, k) => Array.from({ length: 41 }, (_, i) => ((i * (2 * k + 1)) % 41) / 4 - 5));

  /** f16: a few roundings of results near 1. */
  test.each([
    ['f32', 1e-6],
    ['f16', 4 * 2 ** -11],
  ] as const)('is its formula in %s', async (dtype, tolerance) => {
    const inputs = operands.map((values) => tensor(dtype, values));
    const expected = operands[0]!.map((_, i) => formula(...inputs.map((input) => valuesOf(input)[i]!)));
    expect(firstDifference(await runOp(op, inputs, attrs), expected, tolerance)).toBe(-1);
  });
});

test('both gelus have one', () => {
  expect(formulas.map(({ name }) => name)).toEqual(expect.arrayContaining(['gelu_tanh', 'gelu_erf']));
});
