import { expect, test } from 'vitest';
import type { RangeFinding } from '../../../ir/observe/f16_range.ts';
import { describeFinding, enforceFindings } from './findings.ts';

const range = { min: -1234567, max: 3, absMax: 1234567, nonFinite: 0, count: 10 };
const finding = (kind: RangeFinding['kind'], kept: boolean, rest: Partial<RangeFinding> = {}): RangeFinding => ({
  graph: 'decoder',
  value: 'lm.3.mul_1',
  kind,
  range,
  kept,
  ...rest,
});
const STRICT = { allowOverflow: false, strict: true };
const LENIENT = { allowOverflow: true, strict: false };

test('one sentence each', () => {
  expect(describeFinding(finding('overflow', true))).toBe(
    'decoder/lm.3.mul_1 reaches 1230000 of the 65504 that f16 holds: it stays f32.',
  );
  expect(describeFinding(finding('scores', true, { value: 'lm.0.attention' }))).toBe(
    'decoder/lm.0.attention has scores that reach 1230000 of the 65504 that f16 holds: it stays f32.',
  );
  expect(describeFinding(finding('underflow', true, { range: { ...range, absMax: 1.2345e-9 } }))).toBe(
    'decoder/lm.3.mul_1 is at most 1.23e-9, which is zero in f16: it stays f32.',
  );
  expect(describeFinding(finding('not finite', false, { range: { ...range, nonFinite: 4 } }))).toBe(
    'decoder/lm.3.mul_1 has 4 infinities or NaN in f32, as the original computes.',
  );
  expect(describeFinding(finding('overflow', false))).toContain('cannot stay f32');
});

test('what is kept passes', () => {
  expect(() =>
    enforceFindings([finding('overflow', true), finding('scores', true), finding('underflow', true)], STRICT),
  ).not.toThrow();
});

test('what overflows and cannot be kept fails by name, unless it is allowed', () => {
  const lost = Array.from({ length: 10 }, (_, i) => finding('overflow', false, { value: `v${i}` }));
  expect(() => enforceFindings(lost, { ...STRICT, strict: false })).toThrow(
    expect.objectContaining({
      name: 'BadInputError',
      code: 'activation_overflow',
      message: expect.stringMatching(/decoder\/v0 .*decoder\/v7 .*And 2 more\.$/),
      place: { tensor: 'decoder/v0', hint: expect.stringContaining('--allow-overflow') },
    }),
  );
  expect(() => enforceFindings(lost, LENIENT)).not.toThrow();
});

test('what is not finite in f32 fails only in a strict conversion', () => {
  expect(() => enforceFindings([finding('not finite', false)], { allowOverflow: true, strict: true })).toThrow(
    expect.objectContaining({ code: 'activation_not_finite' }),
  );
  expect(() => enforceFindings([finding('not finite', false)], LENIENT)).not.toThrow();
});
