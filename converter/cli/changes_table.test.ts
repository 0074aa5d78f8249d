import { expect, test } from 'vitest';
import { changesTable } from './changes_table.ts';

test('what adapters did is told with four digits, a rank where there is one, numbers to the right', () => {
  const lines = changesTable([
    { adapter: 'a', module: 'q_proj', kind: 'lora', rank: 8, norm: 1.234567 },
    { adapter: 'a', module: 'lm_head', kind: 'replaced', norm: 12345.6 },
  ] as unknown as Parameters<typeof changesTable>[0]).lines();
  const rows = lines.map((line) => line.split('│').map((cell) => cell.trim()));
  expect(rows.flatMap((cells) => (cells.length > 5 ? [cells.slice(1, -1)] : []))).toEqual([
    ['adapter', 'module', 'change', 'rank', 'norm of the change'],
    ['a', 'q_proj', 'lora', '8', '1.235'],
    ['a', 'lm_head', 'replaced', '', '1.235e+4'],
  ]);
  expect(lines.join('\n')).toMatch(/ {3}8 │ {14}1\.235 │/);
});
