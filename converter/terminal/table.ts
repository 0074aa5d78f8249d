import { TextTable } from '../../verify/text_table.ts';

/** A table for people among the lines of a result: it takes its form where it is written. */
export function table(
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
  right: readonly number[] = [],
): TextTable {
  return new TextTable(head, rows, { right });
}

/** The same as one text, for what is written as such. */
export function tableText(...of: Parameters<typeof table>): string {
  return table(...of)
    .lines()
    .join('\n');
}
