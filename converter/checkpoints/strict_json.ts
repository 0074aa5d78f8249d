import { BadInputError } from '../errors.ts';

/** A number as it is written: `4.0` is not `4`, and 2^53 + 1 is not rounded. */
export interface JsonNumber {
  readonly text: string;
  readonly offset: number;
}
export type JsonObject = ReadonlyMap<string, JsonValue>;
export type JsonValue = null | boolean | string | JsonNumber | readonly JsonValue[] | JsonObject;
/** What JSON.parse would give. */
export type PlainJson = null | boolean | string | number | PlainJson[] | { [key: string]: PlainJson };

/** What messages name. */
export interface JsonSource {
  readonly file: string;
  /** Offset of the first byte of the text in the file. */
  readonly offset?: number;
  /** Code of the errors, default `bad_json`. */
  readonly code?: string;
  readonly hint?: string;
}

/** Deeper than any config or header; far from the end of the call stack. */
export const MAX_JSON_DEPTH = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};
const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * Reads RFC 8259 JSON piece by piece, so that a caller that knows what it expects builds nothing else.
 * Stricter than JSON.parse: UTF-8 without BOM, no lone surrogates, no duplicate keys, exact integers, bounded depth.
 * Each error carries the byte offset in the file.
 */
export class JsonReader {
  readonly #bytes: Uint8Array;
  readonly #source: JsonSource;
  /** The tensor that is being read about: errors name it. */
  tensor: string | undefined;
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  #at = 0;
  #depth = 0;

  constructor(bytes: Uint8Array, source: JsonSource) {
    this.#bytes = bytes;
    this.#source = source;
  }

  /** Offset in the file of the next token. */
  get offset(): number {
    this.#skipSpace();
    return this.#offsetOf(this.#at);
  }

  fail(message: string, offset = this.offset): never {
    const { file, code = 'bad_json', hint } = this.#source;
    throw new BadInputError(code, message, {
      file,
      offset,
      ...(this.tensor !== undefined && { tensor: this.tensor }),
      ...(hint !== undefined && { hint }),
    });
  }

  /** The keys of an object, in file order: the caller must read the value of each before asking for the next. */
  *object(what = 'an object'): Generator<string> {
    this.#open('{', what);
    const seen = new Set<string>();
    if (!this.#accept('}'))
      do {
        const offset = this.offset;
        const key = this.string('a key');
        if (seen.has(key)) this.fail(`duplicate key "${shorten(key)}"`, offset);
        seen.add(key);
        this.#expect(':', 'after a key');
        yield key;
      } while (this.#more('}'));
    this.#depth--;
  }

  /** One turn per element of an array: the caller must read it. */
  *array(what = 'an array'): Generator<number> {
    this.#open('[', what);
    let index = 0;
    if (!this.#accept(']'))
      do yield index++;
      while (this.#more(']'));
    this.#depth--;
  }

  string(what = 'a string'): string {
    const start = this.offset;
    if (this.#peek() !== '"') this.fail(`expected ${what} in double quotes, found ${this.#found()}`);
    let end = this.#at + 1;
    let escaped = false;
    for (; this.#bytes[end] !== QUOTE; end++) {
      const byte = this.#bytes[end];
      if (byte === undefined) this.fail('the text ends inside a string', start);
      if (byte < 0x20)
        this.fail(`control character 0x${byte.toString(16).padStart(2, '0')} in a string`, this.#offsetOf(end));
      if (byte === BACKSLASH) {
        escaped = true;
        end++;
      }
    }
    const raw = this.#decode(this.#at + 1, end, start);
    this.#at = end + 1;
    if (!escaped) return raw;
    const text = raw.replaceAll(/\\(u[0-9a-fA-F]{4}|[^])/g, (_, escape: string) => {
      if (escape.length === 5) return String.fromCharCode(Number.parseInt(escape.slice(1), 16));
      return ESCAPES[escape] ?? this.fail(`unknown escape \\${escape} in a string`, start);
    });
    if (LONE_SURROGATE.test(text)) this.fail('lone surrogate in a string', start);
    return text;
  }

  number(what = 'a number'): JsonNumber {
    const offset = this.offset;
    let end = this.#at;
    while (isNumberByte(this.#bytes[end])) end++;
    const text = this.#decode(this.#at, end, offset);
    if (!NUMBER.test(text)) this.fail(`expected ${what}, found ${text === '' ? this.#found() : shorten(text)}`);
    this.#at = end;
    return { text, offset };
  }

  /** An integer from 0 to 2^53 - 1, written without sign, fraction or exponent. */
  unsigned(what = 'an unsigned integer'): number {
    const { text, offset } = this.number(what);
    if (!/^[0-9]+$/.test(text)) this.fail(`expected ${what} (digits only), found ${shorten(text)}`, offset);
    const value = Number(text);
    if (!Number.isSafeInteger(value)) this.fail(`${shorten(text)} is beyond 2^53 - 1`, offset);
    return value;
  }

  /** Whatever comes next, as a tree. */
  value(): JsonValue {
    switch (this.#peek()) {
      case '{': {
        const map = new Map<string, JsonValue>();
        for (const key of this.object()) map.set(key, this.value());
        return map;
      }
      case '[': {
        const list: JsonValue[] = [];
        for (const _ of this.array()) list.push(this.value());
        return list;
      }
      case '"':
        return this.string();
      case 't':
        return this.#literal('true', true);
      case 'f':
        return this.#literal('false', false);
      case 'n':
        return this.#literal('null', null);
      default:
        return this.number('a value');
    }
  }

  /**
   * Whatever comes next, as plain objects: numbers are doubles; `__proto__`, overflow and integers that a double would
   * round are refused.
   */
  plain(): PlainJson {
    return this.#plainOf(this.value());
  }

  /** Nothing but white space may follow. */
  end(): void {
    this.#skipSpace();
    if (this.#at < this.#bytes.length) this.fail(`expected the end of the text, found ${this.#found()}`);
  }

  #plainOf(value: JsonValue): PlainJson {
    if (value instanceof Map) {
      const object: { [key: string]: PlainJson } = {};
      for (const [key, member] of value as JsonObject) {
        if (key === '__proto__') this.fail('the key "__proto__" is not allowed', this.#source.offset ?? 0);
        object[key] = this.#plainOf(member);
      }
      return object;
    }
    if (Array.isArray(value)) return (value as readonly JsonValue[]).map((member) => this.#plainOf(member));
    if (value === null || typeof value !== 'object') return value;
    const { text, offset } = value as JsonNumber;
    const number = Number(text);
    const exact = Number.isFinite(number) && (!/^-?[0-9]+$/.test(text) || BigInt(text) === BigInt(number));
    if (!exact) this.fail(`${shorten(text)} cannot be held exactly`, offset);
    return number;
  }

  #open(bracket: '{' | '[', what: string): void {
    if (this.#peek() !== bracket) this.fail(`expected ${what}, found ${this.#found()}`);
    if (++this.#depth > MAX_JSON_DEPTH) this.fail(`nested more than ${MAX_JSON_DEPTH} deep`);
    this.#at++;
  }

  /** After a member: true when a comma says that another follows. */
  #more(close: '}' | ']'): boolean {
    if (this.#accept(close)) return false;
    this.#expect(',', `or ${close} after a value`);
    return true;
  }

  #expect(character: string, where: string): void {
    if (!this.#accept(character)) this.fail(`expected ${character} ${where}, found ${this.#found()}`);
  }

  #accept(character: string): boolean {
    if (this.#peek() !== character) return false;
    this.#at++;
    return true;
  }

  #literal<T>(text: string, value: T): T {
    const end = this.#at + text.length;
    if (String.fromCharCode(...this.#bytes.subarray(this.#at, end)) !== text)
      this.fail(`expected a value, found ${this.#found()}`);
    this.#at = end;
    return value;
  }

  #decode(begin: number, end: number, offset: number): string {
    try {
      return this.#utf8.decode(this.#bytes.subarray(begin, end));
    } catch {
      return this.fail('text that is not UTF-8', offset);
    }
  }

  #peek(): string | undefined {
    this.#skipSpace();
    const byte = this.#bytes[this.#at];
    return byte === undefined ? undefined : String.fromCharCode(byte);
  }

  #skipSpace(): void {
    while (isSpace(this.#bytes[this.#at])) this.#at++;
  }

  #offsetOf(at: number): number {
    return (this.#source.offset ?? 0) + at;
  }

  #found(): string {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) return 'the end of the text';
    if (byte === 0xef && this.#bytes[this.#at + 1] === 0xbb) return 'a byte order mark';
    return byte > 0x20 && byte < 0x7f
      ? `"${String.fromCharCode(byte)}"`
      : `byte 0x${byte.toString(16).padStart(2, '0')}`;
  }
}

function isSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/** 0-9 + - . e E */
function isNumberByte(byte: number | undefined): boolean {
  return (
    byte !== undefined &&
    ((byte >= 0x30 && byte <= 0x39) ||
      byte === 0x2b ||
      byte === 0x2d ||
      byte === 0x2e ||
      byte === 0x45 ||
      byte === 0x65)
  );
}

/** Names and numbers in messages stay readable however long the file makes them. */
export function shorten(text: string): string {
  return text.length <= 120 ? text : `${text.slice(0, 117)}…`;
}
