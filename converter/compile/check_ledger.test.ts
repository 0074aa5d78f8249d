import { expect, test } from 'vitest';
import type { Manifest } from '../bundle/manifest.ts';
import type { OpenModel } from '../models/open_model.ts';
import type { PlainEntry } from '../models/ledger/ledger.ts';
import { checkLedger } from './check_ledger.ts';

const TABLE: PlainEntry[] = [
  { file: 'm', tensor: 'table', rows: [0, 10], used: ['lm.embed'] },
  { file: 'm', tensor: 'table', rows: [10, 12], leftOut: 'padding_rows' },
];
const check = (found: PlainEntry[], stated: PlainEntry[]) =>
  checkLedger(
    { checkpoint: { path: '/c' }, ledger: found } as unknown as OpenModel,
    { ledger: stated } as unknown as Manifest,
  );

test('the same reading, in whichever files, with whichever files beside', () => {
  check(TABLE, [...TABLE.map((entry) => ({ ...entry, file: 'n' })), { file: 'README.md', leftOut: 'documentation' }]);
});

test.each<[string, PlainEntry[]]>([
  [
    'other rows',
    [
      { ...TABLE[0]!, rows: [0, 11] },
      { ...TABLE[1]!, rows: [11, 12] },
    ],
  ],
  ['another reason', [TABLE[0]!, { ...TABLE[1]!, leftOut: 'asked' }]],
  ['equal where it was used', [{ file: 'm', tensor: 'table', equal: { to: 'x', compared: true } }]],
])('%s', (_, found) => {
  expect(() => check(found, TABLE)).toThrow(
    expect.objectContaining({ code: 'ledger_differs', message: expect.stringContaining('"table" is ') as unknown }),
  );
});
