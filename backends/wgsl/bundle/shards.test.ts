import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { tensorData } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { WEIGHT_ALIGNMENT } from './manifest.ts';
import type { StoredWeight } from '../../weight_chunks.ts';
import { layOutShards, shardChunks } from './shards.ts';

const weightsOf = (counts: readonly number[]): StoredWeight[] =>
  counts.map((count, i) => ({ name: `w${i}`, data: tensorData(randomTensor('f32', [count], i)) }));

describe('shards', () => {
  it('hold every range whole, aligned, apart from the others, with at most one shard not half full', () => {
    const most = 4096;
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: most / 4 }), { minLength: 1, maxLength: 30 }), (counts) => {
        const { shards, ranges } = layOutShards(weightsOf(counts), most);
        expect(ranges.map(({ name, byteLength }) => [name, byteLength])).toEqual(
          counts.map((count, i) => [`w${i}`, 4 * count]),
        );
        for (const [i, { byteLength }] of shards.entries()) {
          expect(byteLength).toBeLessThanOrEqual(most);
          let end = 0;
          for (const range of ranges.filter(({ shard }) => shard === i)) {
            expect(range.offset % WEIGHT_ALIGNMENT).toBe(0);
            expect(range.offset).toBeGreaterThanOrEqual(end);
            end = range.offset + range.byteLength;
          }
          expect(byteLength - end).toBeLessThan(16);
        }
        // a multiple of the alignment: two such shards would fit into one
        expect(shards.filter(({ byteLength }) => byteLength <= most / 2 - WEIGHT_ALIGNMENT).length).toBeLessThanOrEqual(
          1,
        );
      }),
      { numRuns: 60 },
    );
  });

  it('fill a gap that an earlier shard has left', () => {
    expect(layOutShards(weightsOf([100, 500, 3]), 2000).ranges.map(({ shard, offset }) => [shard, offset])).toEqual([
      [0, 0],
      [1, 0],
      [0, 512],
    ]);
  });

  it('refuse what none can hold', () => {
    expect(() => layOutShards(weightsOf([3, 500]), 1999)).toThrow('w1 has 2000 bytes');
  });

  it('name the tensor of each piece, and nothing for the space between', async () => {
    const { shards } = layOutShards(weightsOf([3, 70]));
    const pieces: [string | undefined, string | undefined, number][] = [];
    for await (const { tensor, bytes } of shardChunks(shards[0]!))
      pieces.push([tensor?.name, tensor?.dtype, bytes.byteLength]);
    expect(pieces).toEqual([
      ['w0', 'f32', 12],
      [undefined, undefined, 244],
      ['w1', 'f32', 280],
      [undefined, undefined, 8],
    ]);
  });
});
