import { expect, test } from 'vitest';
import { checksLink, linkLines, untried, weightsLink } from './links.ts';

const report = {
  passed: true,
  tensors: 3,
  elements: 40,
  bytes: 80,
  differences: [],
  problems: [],
  unknown: [],
  seconds: 1,
};

test('links are told apart, each with its verdict', () => {
  const lines = linkLines({
    weights: weightsLink(report),
    program: checksLink([{ passed: true }, { passed: false }]),
    original: { verdict: 'not tried', reason: 'no recording of its numbers was given (pgconv record)' },
  });
  expect(lines).toEqual([
    "weights: held, 3 stored tensors, 40 elements against the checkpoint's own",
    'program: failed, 1 of 2 comparisons of the bundle in its runtime with the reference',
    'original: not tried: no recording of its numbers was given (pgconv record)',
  ]);
});

test('weights whose codes nobody can make again are told beside the verdict', () => {
  expect(weightsLink({ ...report, unknown: ['a', 'b'] })).toEqual({
    verdict: 'held',
    reason: 'not tried for 2 weights, whose codes were chosen by activations that are not here',
    tensors: 3,
    elements: 40,
  });
});

test('a bundle that nobody compared says why', () => {
  expect(linkLines(untried('--no-verify'))).toEqual([
    'weights: not tried: --no-verify',
    'program: not tried: --no-verify',
    'original: not tried: --no-verify',
  ]);
});
