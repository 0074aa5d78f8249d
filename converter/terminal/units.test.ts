import { expect, test } from 'vitest';
import { progressText, secondsText } from './units.ts';

test.each([
  [0.4, '0 s'],
  [59.6, '1 min 00 s'],
  [185, '3 min 05 s'],
])('%f seconds', (seconds, text) => expect(secondsText(seconds)).toBe(text));
test('bytes with rate and time left; steps without', () => {
  expect(progressText(2e9, 6e9, 4, 'bytes')).toBe('2.00 GB of 6.00 GB, 500 MB/s, 8 s left');
  expect(progressText(0, 6e9, 0, 'bytes')).toBe('0 B of 6.00 GB, 0 B/s');
  expect(progressText(1, 5, 9, 'steps')).toBe('1 of 5');
});
