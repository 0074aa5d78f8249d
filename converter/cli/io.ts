import { linesOf, type Line } from '../../verify/text_table.ts';
import { visible, visibleJson } from '../../ir/text/visible.ts';
import { RunnerCommand } from '../report/annotations.ts';
import { lineReporter } from '../terminal/lines.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { barReporter } from '../terminal/bars.ts';
import { startHeartbeat } from '../terminal/heartbeat.ts';
import { withHeartbeat } from '../terminal/with_heartbeat.ts';

/** What a stream knows of the terminal that it is. */
interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Where a command line writes to, and what stops it. */
export interface Streams {
  readonly out: NodeJS.WritableStream & Terminal;
  readonly err: NodeJS.WritableStream & Terminal;
  readonly signal: AbortSignal;
}

/** JSON that is laid out: the one text of several lines that is written as it stands. */
export class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = visibleJson(text).replaceAll(MARKED_COMMAND, MARK);
  }
}

/**
 * A line, or several. Each is escaped as a whole: a line end within one, which the name of a file may have, begins no
 * other. So text that is joined before it is written shows its line ends, and nobody can forget to escape a name.
 */
export type Lines = Line | readonly Line[];

/**
 * What runners of CI services take for commands: `::error::` where a line begins, `##[error]`, `##vso[` and
 * `##teamcity[` anywhere. A name must not be one.
 */
const COMMAND = /^(\s*):(?=:)/;
const MARKED_COMMAND = /##(?=(?:vso|teamcity)?\[)/g;
const MARK = String.raw`\u0023#`;

/** What commands write to, and what stops them. */
export interface Io {
  /** Results; with --json one JSON text and nothing else. */
  out(text: Lines | JsonText): void;
  /** Everything else. */
  err(text: Lines | RunnerCommand): void;
  /** Text as it comes, without line ends of its own: where results go to a terminal. */
  stream?(text: string): void;
  reporter(): Reporter;
  readonly signal: AbortSignal;
}

/** Results and all else to two streams: progress bars on a terminal, lines otherwise. */
export function streamIo({ out, err: told, signal }: Streams): Io {
  const err = (text: Lines | RunnerCommand) => void told.write(`${textOf(text, told.columns)}\n`);
  return {
    out: (text) => void out.write(`${textOf(text, out.columns)}\n`),
    err,
    ...(out.isTTY && { stream: (text: string) => void out.write(text.split('\n').map(visible).join('\n')) }),
    reporter() {
      const isTerminal = told.isTTY === true;
      const heartbeat = startHeartbeat({ isTerminal });
      const heard = () => heartbeat.tell({ kind: 'told', at: Date.now() });
      const lines = (line: string) => {
        heard();
        err(line);
      };
      return withHeartbeat(isTerminal ? barReporter(told, heard) : lineReporter(lines), heartbeat);
    },
    signal,
  };
}

/** What is written, as a stream of so many columns gets it but for the last line end. */
export function textOf(text: Lines | JsonText | RunnerCommand, columns?: number): string {
  if (text instanceof JsonText) return text.text;
  if (text instanceof RunnerCommand) return text.line;
  return linesOf([text].flat(), columns).map(shownLine).join('\n');
}

function shownLine(line: string): string {
  return visible(line)
    .replace(COMMAND, String.raw`$1\u003a`)
    .replaceAll(MARKED_COMMAND, MARK);
}

/** JSON for programs: numbers that JSON does not have are written as strings. */
export function json(value: unknown, indent: number = 2): string {
  return JSON.stringify(
    value,
    (_, x: unknown) =>
      typeof x === 'number' && !Number.isFinite(x) ? String(x) : x instanceof Map ? Object.fromEntries(x) : x,
    indent,
  );
}

/** Version of what `--json` prints, of each command: a field that goes away or changes its meaning raises it. */
export const OUTPUT_VERSIONS = {
  convert: 1,
  inspect: 1,
  verify: 1,
  record: 1,
  run: 1,
  quality: 1,
  synth: 1,
  clean: 1,
  doctor: 1,
  bench: 1,
  error: 1,
} as const;

/** What `--json` prints, one kind for each command, and one for what stopped it. */
export type Output = keyof typeof OUTPUT_VERSIONS;

/** JSON of a kind, which says of which and in which version: `docs/schemas/<kind>.schema.json`. */
export function printed(kind: Output, value: object): JsonText {
  return new JsonText(json(schemed(kind, value)));
}

/** The same as one line, for results that come one after the other. */
export function printedLine(kind: Output, value: object): JsonText {
  return new JsonText(json(schemed(kind, value), 0));
}

const schemed = (kind: Output, value: object) => ({
  schema: `pgconv-${kind}`,
  schemaVersion: OUTPUT_VERSIONS[kind],
  ...value,
});
