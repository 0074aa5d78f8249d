import { visible } from '../ir/text/visible.ts';

/**
 * Exit codes of the command line. `internal` is sysexits' EX_SOFTWARE: a bug never looks like a failed parity check.
 */
export const EXIT = {
  done: 0,
  parityFailed: 1,
  usage: 2,
  badInput: 3,
  cannotWrite: 4,
  internal: 70,
  interrupted: 130,
  terminated: 143,
} as const;

/** Where a problem is and what to do about it: every part that is known is printed. */
export interface ErrorPlace {
  /** Its path. */
  readonly file?: string;
  /** Its name in the file. */
  readonly tensor?: string;
  /** Byte offset in the file. */
  readonly offset?: number;
  /** What the user can do, as an instruction. */
  readonly hint?: string;
}

/** An error with a name that scripts can rely on (`code`) and an exit code. */
export abstract class PgconvError extends Error {
  abstract readonly exitCode: number;
  /** A name that stays: docs/error-codes.md. */
  readonly code: string;
  /** Where, and what to do. */
  readonly place: ErrorPlace;

  constructor(code: string, message: string, place: ErrorPlace = {}, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.place = place;
  }

  /** The message with its place and its way out, one line each. */
  describe(): readonly string[] {
    const { file, tensor, offset, hint } = this.place;
    const where = [
      file && `file ${file}`,
      tensor !== undefined && `tensor ${tensor}`,
      offset !== undefined && `byte offset ${offset}`,
    ];
    const place = where.filter(Boolean).join(', ');
    return [
      `${this.code}: ${this.message}`,
      ...(place === '' ? [] : [`  at ${place}`]),
      ...(hint === undefined ? [] : [`  try: ${hint}`]),
    ].map(visible);
  }

  /** The same for scripts. */
  toJSON(): ErrorReport {
    return { code: this.code, message: this.message, ...this.place };
  }
}

/** The form that `--json` prints: keys that are not known are left out. */
export interface ErrorReport extends ErrorPlace {
  /** Of the error. */
  readonly code: string;
  /** One sentence. */
  readonly message: string;
}

/** The input is damaged, unsupported or contradicts itself. */
export class BadInputError extends PgconvError {
  override readonly name = 'BadInputError';
  /** 3. */
  readonly exitCode = EXIT.badInput;
}

/** The command line asks for something that does not exist or does not fit. */
export class UsageError extends PgconvError {
  override readonly name = 'UsageError';
  /** 2. */
  readonly exitCode = EXIT.usage;
}

/** The output cannot be written: it exists, the disk is full, another run holds it. */
export class OutputError extends PgconvError {
  override readonly name = 'OutputError';
  /** 4. */
  readonly exitCode = EXIT.cannotWrite;
}

/** The bundle does not compute what the original computes. */
export class ParityError extends PgconvError {
  override readonly name = 'ParityError';
  /** 1. */
  readonly exitCode = EXIT.parityFailed;
}

/** The user stopped the run (Ctrl-C, or a polite kill). */
export class InterruptedError extends PgconvError {
  override readonly name = 'InterruptedError';
  readonly exitCode: number;

  constructor(signal: 'SIGINT' | 'SIGTERM' = 'SIGINT') {
    super('interrupted', 'stopped before the end; an output is as it was before, or complete');
    this.exitCode = signal === 'SIGINT' ? EXIT.interrupted : EXIT.terminated;
  }
}
