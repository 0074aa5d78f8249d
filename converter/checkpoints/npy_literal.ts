import { shorten } from './strict_json.ts';

/** Stands for the list of fields of a structured dtype. */
export const STRUCTURED = Symbol('structured dtype');

/** The header dict of a .npy array. */
export interface NpyDict {
  readonly descr: string | typeof STRUCTURED;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
}

type Field = string | boolean | readonly number[] | typeof STRUCTURED;
type Fail = (message: string, at: number) => never;

const KEYS: ReadonlySet<string> = new Set(['descr', 'fortran_order', 'shape']);

/** Parses the Python literal of a header. `fail` gets the position in `text`. */
export function parseNpyDict(text: string, fail: Fail): NpyDict {
  return new Literal(text, fail).dict();
}

/**
 * `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }` and nothing else: strings, booleans, tuples of
 * integers.
 */
class Literal {
  readonly #text: string;
  readonly #fail: Fail;
  #at = 0;

  constructor(text: string, fail: Fail) {
    this.#text = text;
    this.#fail = fail;
  }

  dict(): NpyDict {
    const fields = new Map<string, Field>();
    this.#take('{');
    while (!this.#accept('}')) {
      const at = this.#at;
      const key = this.#string();
      if (!KEYS.has(key)) this.#fail(`unknown key '${shorten(key)}' in the header`, at);
      if (fields.has(key)) this.#fail(`duplicate key '${key}' in the header`, at);
      this.#take(':');
      fields.set(key, this.#field());
      if (this.#accept('}')) break;
      this.#take(',');
    }
    if (!/^ *\n?$/.test(this.#text.slice(this.#at))) this.#fail('text follows the header dict', this.#at);
    const descr = fields.get('descr');
    const fortranOrder = fields.get('fortran_order');
    const shape = fields.get('shape');
    if (typeof descr !== 'string' && descr !== STRUCTURED) return this.#fail('descr must be a string', 0);
    if (typeof fortranOrder !== 'boolean') return this.#fail('fortran_order must be True or False', 0);
    if (!Array.isArray(shape)) return this.#fail('shape must be a tuple of unsigned integers', 0);
    return { descr, fortranOrder, shape: shape as readonly number[] };
  }

  #field(): Field {
    this.#skipSpace();
    const rest = this.#text.slice(this.#at, this.#at + 5);
    if (rest.startsWith("'") || rest.startsWith('"')) return this.#string();
    if (rest.startsWith('(')) return this.#tuple();
    if (rest.startsWith('[')) return this.#structure();
    if (rest.startsWith('True')) return this.#word('True', true);
    if (rest === 'False') return this.#word('False', false);
    return this.#fail(`expected a string, True, False or a tuple, found "${rest}"`, this.#at);
  }

  /** The fields of a structured dtype are skipped: it is refused whatever they say. */
  #structure(): typeof STRUCTURED {
    let depth = 0;
    do {
      const character = this.#text[this.#at++];
      if (character === undefined) this.#fail('the list of fields does not end', this.#at);
      depth += Number(character === '[') - Number(character === ']');
    } while (depth > 0);
    return STRUCTURED;
  }

  #tuple(): readonly number[] {
    const dims: number[] = [];
    this.#take('(');
    while (!this.#accept(')')) {
      this.#skipSpace();
      const digits = /^(?:0|[1-9]\d*)(?=[ ,)])/.exec(this.#text.slice(this.#at, this.#at + 40))?.[0];
      if (digits === undefined)
        this.#fail(
          `expected an unsigned integer in shape, found "${shorten(this.#text.slice(this.#at, this.#at + 20).trim())}"`,
          this.#at,
        );
      const dim = Number(digits);
      if (!Number.isSafeInteger(dim)) this.#fail(`dimension ${digits} is beyond 2^53 - 1`, this.#at);
      dims.push(dim);
      this.#at += digits.length;
      if (dims.length > 1 && this.#accept(')')) break; // (3) is a number, (3,) a tuple
      this.#take(',');
    }
    return dims;
  }

  #string(): string {
    this.#skipSpace();
    const quote = this.#text[this.#at];
    if (quote !== "'" && quote !== '"') this.#fail('expected a quoted string', this.#at);
    const end = this.#text.indexOf(quote, this.#at + 1);
    const text = this.#text.slice(this.#at + 1, end);
    if (end < 0 || text.includes('\\')) this.#fail('expected a string without escapes that ends', this.#at);
    this.#at = end + 1;
    return text;
  }

  #word(word: string, value: boolean): boolean {
    this.#at += word.length;
    return value;
  }

  #take(character: string): void {
    if (!this.#accept(character))
      this.#fail(
        `expected "${character}" in the header, found "${this.#text.slice(this.#at, this.#at + 10)}"`,
        this.#at,
      );
  }

  #accept(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    while (this.#text[this.#at] === ' ') this.#at++;
  }
}
