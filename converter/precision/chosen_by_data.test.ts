import { describe, expect, test } from 'vitest';
import { asksData, choiceSentence, leftOutSentence, matricesChosen, type ChosenByData } from './chosen_by_data.ts';

const chosen = (rest: Partial<ChosenByData> = {}): ChosenByData => ({
  shown: 'ab'.repeat(32),
  pictures: { chose: 3, judged: 1, leftOut: 0 },
  matrices: 9,
  weighted: ['a'],
  gptq: ['b', 'c'],
  ...rest,
});

test('data is asked by a folder, unless the algorithm looks at a matrix alone', () => {
  for (const algorithm of [undefined, 'search', 'gptq'])
    expect(asksData({ algorithm, calibrate: 'photos' })).toBe(true);
  for (const algorithm of ['rtn', 'hqq']) expect(asksData({ algorithm, calibrate: 'photos' })).toBe(false);
  for (const calibrate of [undefined, '', 'none', 'default']) expect(asksData({ calibrate })).toBe(false);
});

describe('whose codes data chose', () => {
  test('is what the manifest records, whatever was asked', () => {
    const options = { calibrate: 'photos' };
    expect(matricesChosen({ options, chosenByData: chosen() })).toEqual(new Set(['a', 'b', 'c']));
    expect(matricesChosen({ options, chosenByData: chosen({ weighted: [], gptq: [] }) })).toEqual(new Set());
  });

  test('is unknown of a bundle of before whose folder could choose', () => {
    for (const algorithm of ['search', 'gptq'])
      expect(matricesChosen({ options: { algorithm, calibrate: 'photos' } })).toBe('unknown');
    // gptq took the built-in pictures once
    expect(matricesChosen({ options: { algorithm: 'gptq', calibrate: 'default' } })).toBe('unknown');
    for (const options of [
      { algorithm: 'rtn', calibrate: 'photos' },
      { algorithm: 'search', calibrate: '' },
    ])
      expect(matricesChosen({ options })).toEqual(new Set());
  });
});

test('in a sentence', () => {
  expect(choiceSentence(chosen())).toBe(
    '3 pictures chose codes, and 1 judged them; data won for 3 of 9 matrices, by the weighted search for 1, by GPTQ for 2.',
  );
  expect(choiceSentence(chosen({ weighted: [], gptq: [] }))).toMatch(/data won for 0 of 9 matrices\.$/);
  expect(choiceSentence(chosen({ matrices: 0, weighted: [], gptq: [] }))).toMatch(/of no matrix/);
  expect(choiceSentence(chosen({ pictures: { chose: 1, judged: 0, leftOut: 0 } }))).toMatch(/^one picture chose no/);
  expect(leftOutSentence(32, 168)).toMatch(/^168 of 200 pictures/);
  expect(leftOutSentence(32, 0)).toBeUndefined();
});
