import { expect, test } from 'vitest';
import { partsUncompared } from './parts.ts';

test.each<[boolean[], boolean, boolean, string | undefined]>([
  [[true, true], true, true, undefined],
  [
    [true, false, false],
    true,
    true,
    'of 2 of 3 cases no part was compared on what the reference gave: with this memory none begins where a layer ends',
  ],
  [
    [false],
    true,
    true,
    'no part was compared on what the reference gave: with this memory none begins where a layer ends',
  ],
  [[false, false], false, true, 'no part was compared on what the reference gave: the reference has no stages'],
  [[], false, false, 'no part was compared on what the reference gave: there is no reference that has its codes'],
])('of cases %j, stages %j and a reference %j', (cases, hasStages, hasReference, words) => {
  expect(partsUncompared(cases, hasStages, hasReference).partsUncompared).toBe(words);
});
