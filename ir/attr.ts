import { parseDim, printDim, type Dim } from './dim.ts';
import { isDType, type DType } from './dtypes/index.ts';
import { isFormatName, type FormatName } from './formats/index.ts';

/** How an attribute is written in the text form. Two values are equal when they print alike. */
export interface AttrCodec<T> {
  print(value: T): string;
  /** @throws Error that says what was expected. */
  parse(text: string): T;
}
export type AttrSchema = Readonly<Record<string, AttrCodec<unknown>>>;
export type AttrValues<A extends AttrSchema> = { readonly [K in keyof A]: A[K] extends AttrCodec<infer T> ? T : never };

/** Shortest text that reads back as the same double. */
export function printNumber(x: number): string {
  return Object.is(x, -0)
    ? '-0'
    : Number.isNaN(x)
      ? 'nan'
      : x === Infinity
        ? 'inf'
        : x === -Infinity
          ? '-inf'
          : String(x);
}

const NOT_FINITE: ReadonlyMap<string, number> = new Map([
  ['nan', Number.NaN],
  ['inf', Infinity],
  ['-inf', -Infinity],
]);

/** Reads what `printNumber` writes. @throws Error for anything else */
export function parseNumber(text: string): number {
  const value = NOT_FINITE.get(text.trim()) ?? Number(text);
  if (text.trim() === '' || (Number.isNaN(value) && text.trim() !== 'nan'))
    throw new Error(`"${text}" is not a number`);
  return value;
}

/** Splits `[a, b]` at its commas; attributes never nest deeper. */
export function parseList(text: string): string[] {
  const match = /^\[(.*)\]$/s.exec(text.trim());
  if (!match) throw new Error(`"${text}" is not a list`);
  const body = match[1]!.trim();
  return body === '' ? [] : body.split(',').map((item) => item.trim());
}

/** A number, infinities and NaN included. */
export function float(): AttrCodec<number> {
  return { print: printNumber, parse: parseNumber };
}

/** A whole number. */
export function int(): AttrCodec<number> {
  return {
    print: String,
    parse(text) {
      const value = parseNumber(text);
      if (!Number.isSafeInteger(value)) throw new Error(`"${text}" is not an integer`);
      return value;
    },
  };
}

/** A list of whole numbers. */
export function ints(): AttrCodec<readonly number[]> {
  return {
    print: (value) => `[${value.join(', ')}]`,
    parse: (text) => parseList(text).map((item) => int().parse(item)),
  };
}

/** A size that may have symbols. */
export function dim(): AttrCodec<Dim> {
  return { print: printDim, parse: parseDim };
}

/** A list of sizes. */
export function dims(): AttrCodec<readonly Dim[]> {
  return { print: (value) => `[${value.map(printDim).join(', ')}]`, parse: (text) => parseList(text).map(parseDim) };
}

/** A dtype by its name. */
export function dtype(): AttrCodec<DType> {
  return {
    print: String,
    parse(text) {
      if (!isDType(text)) throw new Error(`"${text}" is not a dtype`);
      return text;
    },
  };
}

export function weightFormat(): AttrCodec<FormatName> {
  return {
    print: String,
    parse(text) {
      if (!isFormatName(text)) throw new Error(`"${text}" is not a format of weights`);
      return text;
    },
  };
}
