import { IrError } from './error.ts';

/** Not with two slashes, which begin a comment. */
const BARE_NAME = '(?:[\\w.-]|/(?!/))+';

/** Whether a name needs no quotes in the text form. */
export function isBareName(name: string): boolean {
  return new RegExp(`^${BARE_NAME}$`).test(name);
}

/** Reads tokens of the text form; blanks and `//` comments lie between them. Errors name line and column (from 1). */
export class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#skipBlanks();
  }

  /** Offset of the next token, for fail. */
  get at(): number {
    return this.#at;
  }

  fail(message: string, at = this.#at): never {
    const before = this.#text.slice(0, at).split('\n');
    throw new IrError(`line ${before.length}, column ${before.at(-1)!.length + 1}: ${message}`);
  }

  isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** Takes `token` when it comes next. */
  accept(token: string): boolean {
    if (!this.#text.startsWith(token, this.#at)) return false;
    this.#advance(token.length);
    return true;
  }

  /** Takes the token, which must come next. */
  expect(token: string): void {
    if (!this.accept(token)) this.fail(`expected "${token}", not ${this.#describeNext()}`);
  }

  /** A letter, then letters, digits and _: keywords, ops, attributes, dtypes. */
  word(what: string): string {
    return this.#match(/[A-Za-z]\w*/y, what);
  }

  /** Bare or quoted. */
  name(what: string): string {
    return this.#text[this.#at] === '"' ? this.string(what) : this.#match(new RegExp(BARE_NAME, 'y'), what);
  }

  number(what: string): string {
    return this.#match(/[-+\w.]+/y, what);
  }

  string(what: string): string {
    const at = this.#at;
    const text = this.#match(/"(?:[^"\\\n]|\\.)*"/y, what);
    try {
      return JSON.parse(text) as string;
    } catch {
      return this.fail(`${text} is not a valid string`, at);
    }
  }

  /** Text up to one of `ends` outside brackets, trimmed. */
  until(ends: string): string {
    const begin = this.#at;
    let depth = 0;
    let at = begin;
    for (; at < this.#text.length; at++) {
      const c = this.#text[at]!;
      if (depth === 0 && ends.includes(c)) break;
      if (c === '[') depth++;
      if (c === ']') depth--;
    }
    this.#advance(at - begin);
    return this.#text.slice(begin, at).trim();
  }

  #match(pattern: RegExp, what: string): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? this.fail(`expected ${what}, not ${this.#describeNext()}`);
    this.#advance(found.length);
    return found;
  }

  #advance(count: number): void {
    this.#at += count;
    this.#skipBlanks();
  }

  #skipBlanks(): void {
    const blanks = /(?:\s|\/\/[^\n]*)*/y;
    blanks.lastIndex = this.#at;
    this.#at += blanks.exec(this.#text)![0].length;
  }

  #describeNext(): string {
    const rest = /\S{1,24}/y;
    rest.lastIndex = this.#at;
    const found = rest.exec(this.#text);
    return found ? `"${found[0]}"` : 'the end';
  }
}
