import { expect, test } from 'vitest';
import { expressionOf } from './scalar_expression.ts';

test('an expression names each function it needs once, those that others call first', () => {
  const gate = { op: 'gelu_erf', inputs: [{ text: 'y0' }] } as const;
  const { text, functions } = expressionOf({
    op: 'add',
    inputs: [
      { op: 'mul', inputs: [gate, { op: 'erf', inputs: [{ value: -0.5 }] }] },
      { text: 'residual[row * 4u + column]' },
    ],
  });
  expect(text).toBe('((gelu_erf(y0) * erf_of((-0.5f))) + residual[row * 4u + column])');
  expect(functions.map((definition) => /fn (\w+)/.exec(definition)![1])).toEqual(['erf_of', 'gelu_erf']);
});

test('infinities are the largest finite numbers, and NaN is refused', () => {
  expect(expressionOf({ value: -Infinity }).text).toBe('(-3.4028234663852886e+38f)');
  expect(() => expressionOf({ value: Number.NaN })).toThrow('NaN');
});
