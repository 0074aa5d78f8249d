import { Command, CommanderError } from 'commander';
import { EXIT, InterruptedError } from '../errors.ts';
import { VerificationFailed } from '../compile/verification_failed.ts';
import { TOOL } from '../version.ts';
import { convertCommand } from './convert.ts';
import { failureOf } from './exit.ts';
import { inspectCommand } from './inspect.ts';
import { json, processIo, type Io } from './io.ts';
import type { CommandResult } from './options.ts';
import { qualityCommand } from './quality.ts';
import { refuseRepeats } from './repeats.ts';
import { runCommand } from './run.ts';
import { synthCommand } from './synth.ts';
import { verifyCommand } from './verify.ts';
import { MAIN_HELP } from './help/main.ts';
import { prose } from './prose.ts';

/** Time for an interrupted run to remove what it staged; what it leaves is removed by the next run. */
const GRACE_MS = 1500;

/** Runs the command line and returns its exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const stop = interruption();
  const io = processIo(stop.signal);
  // Node would end with 1, which means that parity failed.
  process.on('uncaughtException', (error) => process.exit(tell(error, args, io)));
  try {
    return await runCommandLine(args, io);
  } finally {
    stop.dispose();
  }
}

/** The same with another place to write to. */
export async function runCommandLine(args: readonly string[], io: Io): Promise<number> {
  const result = { exitCode: EXIT.done as number };
  const program = commandLine(io, result);
  try {
    if (args.length === 0) {
      io.err(program.helpInformation());
      throw new CommanderError(EXIT.usage, 'commander.missingCommand', 'no command was given');
    }
    await program.parseAsync([...args], { from: 'user' });
    return result.exitCode;
  } catch (error) {
    return tell(error, args, io);
  }
}

/** All commands with their options and help. What they do leaves its exit code in `result`. */
export function commandLine(io: Io, result: CommandResult): Command {
  const program = new Command(TOOL.name)
    .description(
      prose(
        'Compiles PaliGemma checkpoints to bundles that run in browsers and on servers, and proves that',
        'each bundle computes what the original computed.',
      ),
    )
    .version(TOOL.version)
    .addHelpText('after', MAIN_HELP);
  for (const make of [convertCommand, inspectCommand, verifyCommand, runCommand, qualityCommand, synthCommand])
    program.addCommand(make(io, result));
  for (const command of [program, ...program.commands]) {
    refuseRepeats(command);
    command
      .exitOverride()
      .showHelpAfterError('(see --help)')
      .configureOutput({ writeOut: (text) => io.out(text.trimEnd()), writeErr: (text) => io.err(text.trimEnd()) });
  }
  return program;
}

/** Tells what stopped a command, in the form that was asked for, and returns its exit code. */
function tell(error: unknown, args: readonly string[], io: Io): number {
  const failure = failureOf(io.signal.aborted && !(error instanceof InterruptedError) ? io.signal.reason : error);
  if (!failure) return EXIT.done;
  if (failure.text) io.err(failure.text);
  if (args.includes('--json'))
    io.out(json({ error: failure.report, ...(error instanceof VerificationFailed && { verification: error.report }) }));
  return failure.exitCode;
}

/**
 * The first Ctrl-C asks the command to stop and gives it a moment. Then the system's own handling is back, so the
 * second ends the process at once, also while it computes.
 */
function interruption(): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const dispose = () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  const onSignal = (name: 'SIGINT' | 'SIGTERM') => {
    dispose();
    const reason = new InterruptedError(name);
    controller.abort(reason);
    setTimeout(() => process.exit(reason.exitCode), GRACE_MS).unref();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return { signal: controller.signal, dispose };
}
