import { lineReporter } from '../progress/lines.ts';
import type { Reporter } from '../progress/reporter.ts';
import { barReporter } from '../progress/bars.ts';

/** What commands write to, and what stops them. */
export interface Io {
  /** Results; with --json one JSON text and nothing else. */
  out(text: string): void;
  /** Everything else. */
  err(text: string): void;
  reporter(): Reporter;
  readonly signal: AbortSignal;
}

/** stdout and stderr of the process: progress bars on a terminal, lines otherwise. */
export function processIo(signal: AbortSignal): Io {
  return {
    out: (text) => void process.stdout.write(`${text}\n`),
    err: (text) => void process.stderr.write(`${text}\n`),
    reporter: () => (process.stderr.isTTY ? barReporter(process.stderr) : lineReporter((line) => void process.stderr.write(`${line}\n`))),
    signal,
  };
}

/** JSON for programs: numbers that JSON does not have are written as strings. */
export function json(value: unknown): string {
  return JSON.stringify(value, (_, x: unknown) => (typeof x === 'number' && !Number.isFinite(x) ? String(x) : x instanceof Map ? Object.fromEntries(x) : x), 2);
}
