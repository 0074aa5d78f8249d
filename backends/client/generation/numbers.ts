import { RuntimeError } from '../errors.ts';

/** @throws RuntimeError `bad_input` where a rule does not hold: `what` was given, and must be `allowed` */
export function demand(holds: boolean, what: string, allowed: string): void {
  if (!holds) throw new RuntimeError('bad_input', what, `it must be ${allowed}`);
}

/** Whether it counts something: a safe integer of at least `least`. */
export function isWholeNumber(value: number, least = 0): boolean {
  return Number.isSafeInteger(value) && value >= least;
}

/** The number. @throws RuntimeError `bad_input` for one that is no whole number of at least `least` */
export function wholeNumber(name: string, value: number, least = 0): number {
  demand(isWholeNumber(value, least), `${name} of ${value}`, `a whole number, ${least} or more`);
  return value;
}
