import { expect, test } from 'vitest';
import { bytesText } from './bytes_text.ts';

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [1000, '1.00 kB'],
  [6_910_596_705, '6.91 GB'],
  [2e15, '2.00e+3 TB'],
])('%i bytes', (bytes, text) => expect(bytesText(bytes)).toBe(text));
