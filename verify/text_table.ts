import Table from 'cli-table3';
import { visible } from '../ir/text/visible.ts';

export interface TextTableOptions {
  /** Columns whose cells stand on the right: numbers. */
  readonly right?: readonly number[];
  /** Without a frame: for many rows. */
  readonly plain?: boolean;
}

/** Items of a turned row up to this length share lines. */
const SHORT = 28;
const INDENT = '  ';

/**
 * A table for people that takes its form where it is written: as wide as it is, or, where a terminal is narrower,
 * turned: each row under its first cell. Without colours: it also goes to files.
 */
export class TextTable {
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly #options: TextTableOptions;

  constructor(
    head: readonly string[],
    rows: readonly (readonly (string | number)[])[],
    options: TextTableOptions = {},
  ) {
    this.head = head;
    this.rows = rows.map((row) => row.map((cell) => visible(String(cell))));
    this.#options = options;
  }

  /** For a terminal of so many columns; default as wide as it is. */
  lines(columns = Infinity): readonly string[] {
    const { right = [], plain = false } = this.#options;
    const made = new Table({
      head: [...this.head],
      style: { head: [], border: [], compact: true },
      colAligns: this.head.map((_, i) => (right.includes(i) ? 'right' : 'left')),
      ...(plain && { chars: PLAIN }),
    });
    for (const row of this.rows) made.push([...row]);
    const lines = made.toString().split('\n');
    return lines.some((line) => line.trimEnd().length > columns)
      ? this.rows.flatMap((row) => turned(this.head, row, columns))
      : lines;
  }
}

/** A line, or a table among lines. */
export type Line = string | TextTable;

/** All as lines of text. */
export function linesOf(lines: readonly Line[], columns?: number): readonly string[] {
  return lines.flatMap((line) => (typeof line === 'string' ? [line] : line.lines(columns)));
}

/** A row under its first cell, with the titles of the others; what is empty is left out. */
function turned(head: readonly string[], [first = '', ...rest]: readonly string[], columns: number): string[] {
  const items = rest.flatMap((cell, i) => {
    const title = head[i + 1]!;
    return cell === '' ? [] : [title === '' ? cell : `${title}: ${cell}`];
  });
  const groups = items.every((item) => item.length <= SHORT) ? joined(items, columns - INDENT.length) : items;
  return [...wrapped(first, columns), ...groups.flatMap((item) => wrapped(item, columns, INDENT))];
}

/** Items side by side, as many as have room; none is broken that has it. */
function joined(items: readonly string[], columns: number): string[] {
  const lines: string[] = [];
  for (const [i, item] of items.entries()) {
    const text = i < items.length - 1 ? `${item},` : item;
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + text.length <= columns) lines[lines.length - 1] = `${last} ${text}`;
    else lines.push(text);
  }
  return lines;
}

/** Text in lines of at most so many columns, broken at spaces where there are some. */
function wrapped(text: string, columns: number, indent = ''): string[] {
  const lines: string[] = [];
  let rest = text;
  let before = indent;
  while (before.length + rest.length > columns) {
    const room = Math.max(1, columns - before.length);
    const space = rest.lastIndexOf(' ', room);
    const end = space > 0 ? space : room;
    lines.push(before + rest.slice(0, end).trimEnd());
    rest = rest.slice(end).trimStart();
    // what goes on stands further in
    before = indent + INDENT;
  }
  if (rest !== '' || lines.length === 0) lines.push(before + rest);
  return lines;
}

const PLAIN = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
  ].map((name) => [name, '']),
) as Record<string, string>;
