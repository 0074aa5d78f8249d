import { expect, test } from 'vitest';
import { doneText, overText, progressText, secondsText } from './units.ts';

test.each([
  [0.4, '0 s'],
  [59.6, '1 min 00 s'],
  [185, '3 min 05 s'],
])('%f seconds', (seconds, text) => expect(secondsText(seconds)).toBe(text));
test('bytes with rate and time left; steps without', () => {
  const bytes = { total: 6e9, unit: 'bytes' } as const;
  expect(progressText({ ...bytes, done: 2e9, seconds: 4 })).toBe('2.00 GB of 6.00 GB, 500 MB/s, 8 s left');
  expect(progressText({ ...bytes, done: 0, seconds: 0 })).toBe('0 B of 6.00 GB, 0 B/s');
  expect(progressText({ done: 1, total: 5, seconds: 9, unit: 'steps' })).toBe('1 of 5');
});

test('work as a share, with the time that is left of all of it and what is at work', () => {
  const work = { done: 2e9, total: 6e9, seconds: 9, unit: 'work' } as const;
  expect(progressText(work)).toBe('33 %');
  expect(progressText({ ...work, text: 'a: reference', secondsLeft: 61 })).toBe('33 %, 1 min 01 s left (a: reference)');
  expect(progressText({ ...work, done: 0, total: 0 })).toBe('0 %');
});

test('time left is said where it is known, and not of another moment', () => {
  const work = { done: 2e9, total: 6e9, seconds: 9, unit: 'work', text: 'reference' } as const;
  expect(progressText({ ...work, secondsLeft: 61, isLeast: true })).toBe('33 %, more than 1 min 01 s left (reference)');
  expect(progressText({ ...work, secondsLeft: 0.4 })).toBe('33 % (reference)');
  expect(doneText({ ...work, secondsLeft: 61 })).toBe('33 % (reference)');
  const bytes = { total: 6e9, unit: 'bytes', seconds: 30 } as const;
  expect(progressText({ ...bytes, done: 1e8 })).toBe('100 MB of 6.00 GB, 3.33 MB/s');
  expect(doneText({ ...bytes, done: 3e9 })).toBe('3.00 GB of 6.00 GB, 100 MB/s');
});

test('waiting has a name and a time, and a line where it was long', () => {
  const wait = { done: 0, total: 0, unit: 'wait' } as const;
  expect(progressText({ ...wait, seconds: 3 })).toBe('');
  expect(overText('open', { ...wait, seconds: 3 })).toBeUndefined();
  expect(overText('open', { ...wait, seconds: 65 })).toBe('open: in 1 min 05 s');
  expect(overText('write', { done: 3, total: 5, unit: 'steps', seconds: 1 })).toBe('write: 3 of 5 in 1 s');
});
