import Table from 'cli-table3';
import { visible } from '../../ir/text/visible.ts';

/** A table for people, in lines, without colours: it also goes to files. A cell stays in its line. */
export function tableLines(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  rightAligned: readonly number[] = [],
): readonly string[] {
  const made = new Table({
    head: [...head],
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, i) => (rightAligned.includes(i) ? 'right' : 'left')),
  });
  for (const row of rows) made.push(row.map((cell) => visible(String(cell))));
  return made.toString().split('\n');
}

/** The same as one text, for what is written as such. */
export function table(...of: Parameters<typeof tableLines>): string {
  return tableLines(...of).join('\n');
}
