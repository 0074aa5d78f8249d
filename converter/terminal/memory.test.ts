import { expect, test } from 'vitest';
import { availableMemory, parseBytes } from './memory.ts';

test.each([
  ['4GiB', 4 * 2 ** 30],
  ['4 gib', 4 * 2 ** 30],
  ['1.5GB', 1.5e9],
  ['512MiB', 512 * 2 ** 20],
  ['1000', 1000],
  ['7kb', 7000],
])('%s is %d bytes', (text, bytes) => expect(parseBytes(text)).toBe(bytes));

test.each(['', '0', 'GiB', '-4GiB', '4TiBs', '1e9', '0.2', '1.6', 'NaN', '4 GiB free'])('"%s" is none', (text) =>
  expect(parseBytes(text)).toBeUndefined(),
);

test('a machine has some to give', () => {
  expect(availableMemory()).toBeGreaterThan(64 * 2 ** 20);
});
