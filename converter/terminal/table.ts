import Table from 'cli-table3';

/** A table for people, without colours: it also goes to files. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  rightAligned: readonly number[] = [],
): string {
  const made = new Table({
    head: [...head],
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, i) => (rightAligned.includes(i) ? 'right' : 'left')),
  });
  for (const row of rows) made.push(row.map(String));
  return made.toString();
}
