import { expect, test } from 'vitest';
import { usualBalance } from './balance.ts';

test('channels are balanced where nobody says, but for codes that are rounded to nearest', () => {
  for (const algorithm of [undefined, 'search', 'hqq', 'gptq'])
    for (const format of ['int4', 'int8'] as const) expect(usualBalance(algorithm, format)).toBe('auto');
  expect(usualBalance('rtn', 'int4')).toBe('none');
  // whose only algorithm is that: naming it changes nothing
  expect([usualBalance(undefined, 'nf4'), usualBalance('rtn', 'nf4')]).toEqual(['none', 'none']);
});
