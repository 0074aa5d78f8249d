import { describe, expect, it } from 'vitest';
import { boundsOf, type PartStep } from './bounds.ts';

const step = (weights: readonly string[], endsLayer = false): PartStep => ({ weights, endsLayer });
/** `a40` has 40 bytes. */
const bytesOf = (weight: string | number) => Number(/\d+$/.exec(String(weight))![0]);
const bounds = (steps: readonly PartStep[], isWhole: (at: number) => boolean = () => false) =>
  boundsOf(steps, { bytesOf, isWhole, maxBytes: 100 });

describe('parts of at most so many bytes', () => {
  it('are one where all fits, and none of nothing', () => {
    expect(bounds([step(['a40']), step(['b60'])])).toEqual([[0, 2]]);
    expect(bounds([])).toEqual([]);
  });

  it('begin with what does not fit, and a weight counts once in each', () => {
    expect(bounds([step(['a60']), step(['a60']), step(['b60']), step(['a60'])])).toEqual([
      [0, 2],
      [2, 3],
      [3, 4],
    ]);
  });

  it('end with a layer where that leaves them half full, else anywhere', () => {
    expect(bounds([step(['a50'], true), step(['b30']), step(['c30'])])).toEqual([
      [0, 1],
      [1, 3],
    ]);
    expect(bounds([step(['a40'], true), step(['b50']), step(['c30'])])).toEqual([
      [0, 2],
      [2, 3],
    ]);
  });

  it('hold more where a single step reads more, and where no cut may lie', () => {
    expect(bounds([step(['a10']), step(['b300']), step(['c10'])])).toEqual([
      [0, 1],
      [1, 2],
      [2, 3],
    ]);
    expect(bounds([step(['a60']), step(['b60']), step(['c60'])], (at) => at === 1)).toEqual([
      [0, 2],
      [2, 3],
    ]);
  });
});
