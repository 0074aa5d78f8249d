import { expect, test } from 'vitest';
import { tensorOf } from '../../ir/tensor.ts';
import { rowsOf } from '../../verify/rows.ts';
import { compareAnswers } from './greedy_match.ts';

/** The reference's answer is 0, 1: it leads by 2, then by 0.1 over token 2. */
const ROWS = rowsOf(tensorOf('f32', [1, 2, 3], [3, 1, 0, 0, 3, 2.9]));
const margin = () => 0.2;

test.each([
  ['the same tokens', [0, 1], 'same'],
  ['another token within the margin', [0, 2, 7, 7], 'tie'],
  ['another token beyond it', [0, 0], 'different'],
  ['another first token', [1, 1], 'different'],
  ['fewer tokens', [0], 'different'],
  ['more tokens', [0, 1, 1], 'different'],
] as const)('%s', (_, candidate, verdict) => {
  expect(compareAnswers(candidate, [0, 1], ROWS, margin)).toBe(verdict);
});
