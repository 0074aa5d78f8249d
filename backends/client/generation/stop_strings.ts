import { demand } from './numbers.ts';

/** Text that comes in pieces, up to the first of some strings: none of it is given, also where it comes in parts. */
export class StopStrings {
  readonly #stops: readonly string[];
  #held = '';
  #stopped = false;

  /** @throws RuntimeError `bad_input` for what is no list of strings, or an empty one of them */
  constructor(stops: readonly string[] = []) {
    const given: unknown = stops;
    demand(
      Array.isArray(given) && given.every((text) => typeof text === 'string' && text !== ''),
      'stopStrings that are no list of strings',
      'a list of strings, none of them empty',
    );
    this.#stops = stops;
  }

  /** Whether one of them came. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** What of the text so far can be given: what may become one of the strings is held back. */
  add(piece: string): string {
    if (this.#stopped) return '';
    const text = this.#held + piece;
    const found = this.#stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0);
    if (found.length > 0) {
      this.#stopped = true;
      this.#held = '';
      return text.slice(0, Math.min(...found));
    }
    const held = Math.max(0, ...this.#stops.map((stop) => beginningAtEnd(text, stop)));
    this.#held = text.slice(text.length - held);
    return text.slice(0, text.length - held);
  }

  /** What was held back, once nothing more comes. */
  end(): string {
    const rest = this.#held;
    this.#held = '';
    return rest;
  }
}

/** How many characters at the end of a text are the first ones of another. */
function beginningAtEnd(text: string, of: string): number {
  for (let length = Math.min(text.length, of.length - 1); length > 0; length--)
    if (text.endsWith(of.slice(0, length))) return length;
  return 0;
}
