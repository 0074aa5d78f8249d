import { EXIT, visible } from '../errors.ts';
import { lineReporter } from '../terminal/lines.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { barReporter } from '../terminal/bars.ts';

/** What commands write to, and what stops them. */
export interface Io {
  /** Results; with --json one JSON text and nothing else. */
  out(text: string): void;
  /** Everything else. */
  err(text: string): void;
  reporter(): Reporter;
  readonly signal: AbortSignal;
}

/**
 * stdout and stderr of the process: progress bars on a terminal, lines otherwise. Control characters, which names in a
 * hostile file may have, are escaped; in JSON they stay what they are.
 */
export function processIo(signal: AbortSignal): Io {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', endOnClosedPipe);
  const err = (text: string) => void process.stderr.write(`${visible(text)}\n`);
  return {
    out: (text) => void process.stdout.write(`${visible(text)}\n`),
    err,
    reporter: () => (process.stderr.isTTY ? barReporter(process.stderr) : lineReporter(err)),
    signal,
  };
}

/** `pgconv inspect … | head` is no failure. */
function endOnClosedPipe(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit(process.exitCode ?? EXIT.done);
}

/** JSON for programs: numbers that JSON does not have are written as strings. */
export function json(value: unknown): string {
  return JSON.stringify(
    value,
    (_, x: unknown) =>
      typeof x === 'number' && !Number.isFinite(x) ? String(x) : x instanceof Map ? Object.fromEntries(x) : x,
    2,
  );
}
