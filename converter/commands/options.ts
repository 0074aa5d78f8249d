import { InvalidArgumentError, Option } from 'commander';

/** Set by a command that ends without an error but not with success. */
export interface CommandResult {
  exitCode: number;
}

export function jsonOption(): Option {
  return new Option('--json', 'print one JSON text on stdout, and everything else on stderr');
}

/** A whole number of at least `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) throw new InvalidArgumentError(`give a whole number of at least ${least}.`);
    return value;
  };
}
