import { oneLine } from './visible.ts';

/**
 * A name as GitHub's Markdown shows it letter by letter, also within a table: as code, in which nothing is a mention, a
 * link or an emphasis. What a code span cannot hold beside a table's bars is written as HTML's code with entities.
 */
export function markdownCode(text: string): string {
  const line = oneLine(text);
  if (line === '') return '';
  if (/^[\w.,:;=+/%()[\]@#<>&*~!?' -]+$/.test(line) && line.trim() === line) return `\`${line}\``;
  return `<code>${line.replaceAll(/[^A-Za-z0-9, -]/gu, (c) => `&#${c.codePointAt(0)};`)}</code>`;
}

/**
 * Words in a sentence or in a cell of a table. An empty comment parts what GitHub would make a mention, a reference to
 * an issue or a link of.
 */
export function markdownText(text: string): string {
  return oneLine(text)
    .replaceAll(/[\\`*_[\]<>|~&]/g, String.raw`\$&`)
    .replaceAll(/[@#](?=\w)|:(?=\/\/)|(?<=www)\./g, '$&<!-- -->');
}

/** Lines that are shown as they are, in a block of code. */
export function markdownBlock(lines: readonly string[]): readonly string[] {
  if (lines.length === 0) return [];
  const shown = lines.map(oneLine);
  const longest = Math.max(0, ...shown.flatMap((line) => [...line.matchAll(/`+/g)].map(([run]) => run.length)));
  const fence = '`'.repeat(Math.max(3, longest + 1));
  return [`${fence}text`, ...shown, fence];
}

/** A table; cells are Markdown already. Columns of `right` are numbers. */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): readonly string[] {
  return [head, head.map((_, i) => (right.includes(i) ? '--:' : '---')), ...rows].map(
    (row) => `| ${row.join(' | ')} |`,
  );
}
