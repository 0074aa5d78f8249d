import { Command, CommanderError } from 'commander';
import { EXIT, InterruptedError } from '../errors.ts';
import { errorAnnotation, isGitHub } from '../report/annotations.ts';
import { VerificationFailed } from '../compile/verification_failed.ts';
import { threadCount } from '../threads/thread_count.ts';
import { TOOL } from '../version.ts';
import { benchCommand } from './bench.ts';
import { cleanCommand } from './clean.ts';
import { completionCommand } from './completion.ts';
import { takeConfig } from './config_file.ts';
import { convertCommand } from './convert.ts';
import { doctorCommand } from './doctor.ts';
import { refuseEmptyNames } from './empty_names.ts';
import { failureOf } from './exit.ts';
import { nameMistypedFirst } from './mistyped.ts';
import { inspectCommand } from './inspect.ts';
import { printed, streamIo, type Io, type Streams } from './io.ts';
import type { CommandResult } from './options.ts';
import { qualityCommand } from './quality.ts';
import { refuseRepeats } from './repeats.ts';
import { recordCommand } from './record.ts';
import { runCommand } from './run.ts';
import { synthCommand } from './synth.ts';
import { unwrittenField } from './unwritten.ts';
import { verifyCommand } from './verify.ts';
import { MAIN_HELP } from './help/main.ts';
import { prose } from './prose.ts';

/** Runs the command line and returns its exit code. */
export async function main(args: readonly string[], streams: Streams): Promise<number> {
  const io = streamIo(streams);
  // Node would end with 1, which means that parity failed.
  process.on('uncaughtException', (error) => process.exit(tell(error, args, io)));
  return runCommandLine(args, io);
}

/** The same with another place to write to. */
export async function runCommandLine(args: readonly string[], io: Io): Promise<number> {
  const result: CommandResult = { exitCode: EXIT.done };
  const program = commandLine(io, result);
  try {
    if (args.length === 0) {
      io.err(program.helpInformation().split('\n'));
      throw new CommanderError(EXIT.usage, 'commander.missingCommand', 'no command was given');
    }
    await takeConfig(program, process.cwd(), (line) => io.err(line));
    await program.parseAsync([...args], { from: 'user' });
    // a verdict that comes of the end of a run is none
    if (result.exitCode !== EXIT.done) io.signal.throwIfAborted();
    return withUnwritten(result.exitCode, result, io);
  } catch (error) {
    return withUnwritten(tell(error, args, io, result), result, io);
  }
}

/** Tells what could not be written beside a result; a verdict that is worse than that keeps its exit code. */
function withUnwritten(exitCode: number, { unwritten = [] }: CommandResult, io: Io): number {
  for (const { text, report } of unwritten) {
    io.err(text);
    if (isGitHub(process.env)) io.err(errorAnnotation(report));
  }
  return exitCode === EXIT.done ? (unwritten[0]?.exitCode ?? exitCode) : exitCode;
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
  // what not every command would read is refused by every one alike
  program.hook('preAction', () => void threadCount());
  const commands = [
    convertCommand,
    inspectCommand,
    verifyCommand,
    recordCommand,
    runCommand,
    qualityCommand,
    benchCommand,
    synthCommand,
    cleanCommand,
    doctorCommand,
    completionCommand,
  ];
  for (const make of commands) program.addCommand(make(io, result));
  for (const command of [program, ...program.commands]) {
    refuseRepeats(command);
    nameMistypedFirst(command);
    refuseEmptyNames(command);
    command
      .exitOverride()
      .showHelpAfterError('(see --help)')
      .configureOutput({
        writeOut: (text) => io.out(text.trimEnd().split('\n')),
        writeErr: (text) => io.err(text.trimEnd().split('\n')),
        // an argument is in it; its suggestion is a line of commander's
        outputError: (text) => io.err(text.trimEnd().split(/\n(?=\(Did you mean [^\n]*\?\)$)/)),
      });
  }
  return program;
}

/** Tells what stopped a command, in the form that was asked for, and returns its exit code. */
function tell(
  error: unknown,
  args: readonly string[],
  io: Io,
  result: CommandResult = { exitCode: EXIT.done },
): number {
  const failure = failureOf(io.signal.aborted && !(error instanceof InterruptedError) ? io.signal.reason : error);
  if (!failure) return EXIT.done;
  if (failure.text.length > 0) io.err(failure.text);
  // what failed a verification is told link by link, by its reports
  if (isGitHub(process.env) && !(error instanceof VerificationFailed)) io.err(errorAnnotation(failure.report));
  if (args.includes('--json'))
    io.out(
      printed('error', {
        error: failure.report,
        ...(error instanceof VerificationFailed && { verification: error.report }),
        ...unwrittenField(result),
      }),
    );
  return failure.exitCode;
}
