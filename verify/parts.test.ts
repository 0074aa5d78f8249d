import { expect, test } from 'vitest';
import { randomSource } from '../ir/random_source.ts';
import { partBound, partsUncompared } from './parts.ts';
import { TOLERANCES } from './tolerances.ts';

test.each<[boolean[], boolean, boolean, string | undefined]>([
  [[true, true], true, true, undefined],
  [
    [true, false, false],
    true,
    true,
    'no part was compared on what the reference gave in 2 of 3 cases: with this memory none begins where a layer ends',
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

test('a part may err by what all layers may, as diluted errors of layers add up: simulated, and as measured on a 3B', () => {
  const { stage } = TOLERANCES.fp16({ layers: 18, hiddenSize: 2048 });
  expect(partBound(stage, { layers: 1 }).atMost).toBe(stage.atMost);
  // independent updates of one size, each with an error of `share` of the stream as it then is
  const random = randomSource(7);
  const [width, layers, share] = [4096, 18, 1e-3];
  const [stream, errors] = [new Float64Array(width), new Float64Array(width)];
  for (let layer = 0; layer < layers; layer++) {
    for (let i = 0; i < width; i++) stream[i]! += random() - 0.5;
    const size = Math.hypot(...stream) / Math.sqrt(width / 12);
    for (let i = 0; i < width; i++) errors[i]! += (random() - 0.5) * share * size;
  }
  const whole = Math.hypot(...errors) / Math.hypot(...stream);
  expect(partBound({ ...stage, atMost: whole }, { layers }).atMost! / share).toBeCloseTo(1, 1);
});
