import { CommanderError } from 'commander';
import { RuntimeError } from '../../backends/client/errors.ts';
import { BackendError, type BackendErrorCode } from '../../backends/error.ts';
import { QuantizeError } from '../../ir/quantize/error.ts';
import { VerifyError } from '../../verify/error.ts';
import { BadInputError, EXIT, PgconvError, UsageError, type ErrorReport } from '../errors.ts';

/** What a failed command leaves: its exit code, lines for people, and the same for programs. */
export interface Failure {
  readonly exitCode: number;
  readonly text: readonly string[];
  readonly report: ErrorReport;
}

/** Undefined for commander's own ends that are none, such as --help. */
export function failureOf(error: unknown): Failure | undefined {
  if (error instanceof CommanderError)
    return error.exitCode === 0
      ? undefined
      : {
          exitCode: EXIT.usage,
          text: [],
          report: {
            code: error.code.replace('commander.', ''),
            message: error.message.replace(/^error: /, ''),
            hint: 'see pgconv --help',
          },
        };
  const known = knownError(error);
  if (known) return { exitCode: known.exitCode, text: known.describe(), report: known.toJSON() };
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const message = error instanceof Error ? error.message : String(error);
  return {
    exitCode: EXIT.internal,
    text: ['internal error: this is a bug of pgconv, please report it', ...stackLines(message, stack)],
    report: { code: 'internal', message, hint: 'this is a bug of pgconv: please report it' },
  };
}

/** The message as one line, whatever is in it, and where the error came from. */
function stackLines(message: string, stack: string): readonly string[] {
  const at = stack.indexOf(message);
  const calls = at === -1 ? stack : stack.slice(at + message.length);
  return [at === -1 ? message : `${stack.slice(0, at)}${message}`, ...calls.split('\n').filter((line) => line !== '')];
}

/** What another option or an installation mends. */
const OF_USAGE: ReadonlySet<BackendErrorCode> = new Set([
  'runtime-missing',
  'no-webgpu',
  'unsupported',
  'unmapped-ports',
  'ambiguous-graphs',
]);

/** Failures below the command line, with the exit code that their kind has. */
function knownError(error: unknown): PgconvError | undefined {
  if (error instanceof PgconvError) return error;
  if (error instanceof VerifyError)
    return new BadInputError(error.code, error.message, error.hint === undefined ? {} : { hint: error.hint }, {
      cause: error,
    });
  if (error instanceof RuntimeError)
    return new BadInputError(error.code, error.problem, error.hint === undefined ? {} : { hint: error.hint }, {
      cause: error,
    });
  if (error instanceof QuantizeError)
    return new BadInputError(`quantize_${error.code}`, error.message, error.place, { cause: error });
  if (!(error instanceof BackendError)) return undefined;
  const Kind = OF_USAGE.has(error.code) ? UsageError : BadInputError;
  return new Kind(error.code.replaceAll('-', '_'), error.message, error.place, { cause: error });
}
