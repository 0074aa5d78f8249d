import { expect, test } from 'vitest';
import { lastPositions, padLeft } from './padded_rows.ts';

test('padding on the left, positions from 1', () => {
  const padded = padLeft([[7, 8, 9], [5]], 3);
  const { inputIds, attentionMask, positionIds } = padded;
  expect([[...inputIds], [...attentionMask], [...positionIds]]).toEqual([
    [7, 8, 9, 3, 3, 5],
    [1, 1, 1, 0, 0, 1],
    [1, 2, 3, 1, 1, 1],
  ]);
  expect([...lastPositions(padded)]).toEqual([3, 1]);
});

test('no rows, and an empty one, are refused', () => {
  for (const rows of [[], [[2], []]])
    expect(() => padLeft(rows, 0)).toThrow(expect.objectContaining({ code: 'bad_input' }));
});
