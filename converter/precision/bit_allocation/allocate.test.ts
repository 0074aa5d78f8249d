import { describe, expect, test } from 'vitest';
import { allocate, type Group } from './allocate.ts';

const group = (name: string, kld: number, bytes: number): Group<string> => ({
  names: [name],
  kld,
  steps: [
    { storage: 'int8', bytes, kld: kld / 256 },
    { storage: 'fp16', bytes: 3 * bytes, kld: 0 },
  ],
});

/** Every way to store the groups: for sizes at which that can be tried. */
function best(groups: readonly Group<string>[], budget: number): number {
  const [first, ...rest] = groups;
  if (!first) return 0;
  const ways = [{ bytes: 0, kld: first.kld }, ...first.steps];
  return Math.min(...ways.map((way) => (way.bytes > budget ? Infinity : way.kld + best(rest, budget - way.bytes))));
}

describe('a budget of bytes', () => {
  test('goes where a byte takes away most', () => {
    const groups = [group('wide', 1, 1000), group('small', 0.5, 10), group('dull', 0.001, 10)];
    expect(allocate(groups, { bytes: 20 })).toMatchObject({
      storageOf: new Map([
        ['small', 'int8'],
        ['dull', 'int8'],
      ]),
      bytes: 20,
    });
    expect([...allocate(groups, { bytes: 1010 }).storageOf.keys()]).toEqual(['wide', 'small']);
  });

  test('what does not fit is passed over for what does', () => {
    const { storageOf, bytes } = allocate([group('wide', 100, 1000), group('small', 1, 500)], { bytes: 600 });
    expect([[...storageOf], bytes]).toEqual([[['small', 'int8']], 500]);
  });

  test('of none nothing is bought, and of much everything', () => {
    const groups = [group('a', 1, 10), group('b', 2, 10)];
    expect(allocate(groups, { bytes: 0 })).toEqual({ storageOf: new Map(), bytes: 0, kld: 3 });
    expect(allocate(groups, { bytes: 1e6 })).toMatchObject({ bytes: 60, kld: 0 });
  });

  test('leaves no more than the best of all ways with one group’s bytes less', () => {
    let seed = 7;
    const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
    for (let trial = 0; trial < 20; trial++) {
      const groups = Array.from({ length: 6 }, (_, i) => group(`g${i}`, random(), 1 + Math.floor(100 * random())));
      const largest = Math.max(...groups.map(({ steps }) => steps[1]!.bytes));
      for (const budget of [100, 300, 600]) {
        const { kld, bytes } = allocate(groups, { bytes: budget });
        expect(bytes).toBeLessThanOrEqual(budget);
        expect(kld).toBeGreaterThanOrEqual(best(groups, budget) - 1e-12);
        expect(kld).toBeLessThanOrEqual(best(groups, Math.max(0, budget - largest)) + 1e-12);
      }
    }
  });
});

describe('a divergence that may be left', () => {
  test('takes the fewest bytes that do', () => {
    const groups = [group('wide', 1, 1000), group('small', 0.5, 10)];
    expect([...allocate(groups, { kld: 1.2 }).storageOf]).toEqual([['small', 'int8']]);
    expect([...allocate(groups, { kld: 0.01 }).storageOf]).toEqual([
      ['wide', 'int8'],
      ['small', 'int8'],
    ]);
    expect(allocate(groups, { kld: 2 }).bytes).toBe(0);
  });
});

test('a group whose bits gain nothing is left alone', () => {
  const idle: Group<string> = { names: ['x'], kld: 1, steps: [{ storage: 'int8', bytes: 1, kld: 1.5 }] };
  expect(allocate([idle], { bytes: 100 }).bytes).toBe(0);
});
