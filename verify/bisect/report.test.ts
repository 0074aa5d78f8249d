import { expect, test } from 'vitest';
import type { Link } from '../links.ts';
import { bisectionText } from './report.ts';

const pass = { graph: 'decoder', changed: true, calls: 3, limit: 0, relativeL2: 0, passed: true };
const passes = [
  { ...pass, pass: 'a' },
  { ...pass, pass: 'b', calls: 0 },
];
const fault = { pass: 'b', graph: 'decoder', call: 'step', place: 'lm.2', relativeL2: 0.25, limit: 0 };

test('a fault, with the first value, what is allowed and what was fine before', () => {
  expect(bisectionText({ case: 'x', passes, fault: { ...fault, value: { name: 'q', op: 'linear' } } }, false)).toBe(
    'pass b changed values: graph decoder, step, stage lm.2, beginning with %q = linear: relativeL2 2.5e-1, none is allowed; the pass before it kept them',
  );
  const { call: _, ...ofWeight } = { ...fault, place: 'weight w, row 7', limit: 0.5 };
  expect(bisectionText({ case: 'x', passes: passes.slice(0, 1), fault: ofWeight }, false)).toBe(
    'pass b changed values: graph decoder, weight w, row 7: relativeL2 2.5e-1, at most 5.0e-1 is allowed; it is the first of all',
  );
  expect(
    bisectionText({ case: 'x', passes, fault: { ...fault, note: 'it is gone behind the pass' } }, false),
  ).toContain('stage lm.2: it is gone behind the pass;');
});

test('no fault: what follows depends on the verdict, and on the link of the weights', () => {
  const kept = 'every pass kept the values (2 looked at, 1 evaluated, on the first row of "x")';
  expect(bisectionText({ case: 'x', passes }, true)).toBe(kept);
  const left: readonly (readonly [Pick<Link, 'verdict' | 'reason'> | undefined, string])[] = [
    [{ verdict: 'held' }, 'came in lowering or in the runtime'],
    [{ verdict: 'failed' }, 'is in the stored weights'],
    [
      { verdict: 'held', reason: 'not tried for 3 weights' },
      'came in the stored weights, which were not all compared, in lowering or in the runtime',
    ],
    [
      { verdict: 'not tried' },
      'came in the stored weights, which were not all compared, in lowering or in the runtime',
    ],
    [undefined, 'came in the stored weights, which were not all compared, in lowering or in the runtime'],
  ];
  for (const [weights, where] of left)
    expect(bisectionText({ case: 'x', passes }, false, weights)).toBe(`${kept}: what differs ${where}`);
});
