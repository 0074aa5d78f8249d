import { textOf } from '../cli/io.ts';
import { runCommandLine } from '../cli/main.ts';
import { silentReporter } from '../terminal/reporter.ts';

/** What a command left. */
export interface CommandRun {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs a command in this process. */
export async function pgconv(...args: readonly string[]): Promise<CommandRun> {
  const [out, err]: [string[], string[]] = [[], []];
  const code = await runCommandLine(args, {
    out: (text) => out.push(textOf(text)),
    err: (text) => err.push(textOf(text)),
    reporter: () => silentReporter,
    signal: new AbortController().signal,
  });
  return { code, out: out.join('\n'), err: err.join('\n') };
}
