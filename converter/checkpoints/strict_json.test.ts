import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BadInputError } from '../errors.ts';
import { JsonReader, MAX_JSON_DEPTH } from './strict_json.ts';

const utf8 = new TextEncoder();
const QUOTE = 0x22;

function read<T>(text: string | Uint8Array, take: (json: JsonReader) => T): T {
  const json = new JsonReader(typeof text === 'string' ? utf8.encode(text) : text, { file: 'x.json', offset: 100 });
  const value = take(json);
  json.end();
  return value;
}

function failure(run: () => unknown): BadInputError {
  try {
    run();
  } catch (error) {
    if (error instanceof BadInputError) return error;
    throw error;
  }
  throw new Error('accepted');
}

test('agrees with JSON.parse on what JSON.stringify writes', () => {
  const value = fc.jsonValue({ maxDepth: 5, stringUnit: 'binary' });
  const noProto = (x: unknown): boolean => !JSON.stringify(x).includes('__proto__');
  fc.assert(
    fc.property(value.filter(noProto), fc.constantFrom(undefined, 1, '\t'), (x, space) => {
      const text = JSON.stringify(x, null, space);
      fc.pre(!/\d{16}(?![.e\d])/.test(text)); // integers that JSON.stringify rounds
      expect(read(text, (json) => json.plain())).toEqual(JSON.parse(text));
    }),
  );
});

test('never accepts what JSON.parse refuses', () => {
  const bit = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"a"',
    '"',
    '1',
    '-',
    '.5',
    '1e',
    'true',
    'nul',
    ' ',
    '\\',
    '\\u12',
    '0',
    "'",
    '//',
  );
  fc.assert(
    fc.property(fc.array(bit, { maxLength: 8 }), (bits) => {
      const text = bits.join('');
      const accepted = (run: () => unknown): boolean => {
        try {
          run();
          return true;
        } catch {
          return false;
        }
      };
      if (accepted(() => read(text, (json) => json.value())))
        expect(
          accepted(() => JSON.parse(text)),
          text,
        ).toBe(true);
    }),
    { numRuns: 3000 },
  );
});

test('keeps hostile and integer-like keys apart and in order', () => {
  const map = read('{"b":1,"__proto__":{"x":2},"10":3,"2":4,"constructor":5}', (json) => json.value());
  expect([...(map as ReadonlyMap<string, unknown>).keys()]).toEqual(['b', '__proto__', '10', '2', 'constructor']);
  expect(failure(() => read('{"a":{"__proto__":{"polluted":1}}}', (json) => json.plain())).message).toMatch(
    /__proto__/,
  );
});

test.each([
  ['4.0', /digits only.*4\.0/],
  ['1e0', /digits only.*1e0/],
  ['-4', /digits only.*-4/],
  ['-0', /digits only.*-0/],
  ['9007199254740993', /9007199254740993 is beyond/],
  ['9223372036854775808', /beyond/],
  ['04', /found 04/],
  ['+4', /found \+4/],
  ['"4"', /found "/],
  ['NaN', /found "N"/],
])('%s is no unsigned integer', (text, message) => {
  const error = failure(() => read(` ${text}`, (json) => json.unsigned()));
  expect(error.message).toMatch(message);
  expect(error.place).toMatchObject({ file: 'x.json', offset: 101 });
});

test('9007199254740991 is the largest unsigned integer', () =>
  expect(read('9007199254740991', (json) => json.unsigned())).toBe(2 ** 53 - 1));

test.each<[string, string | Uint8Array, RegExp, number]>([
  ['duplicate key', '{"a":1, "a":2}', /duplicate key "a"/, 108],
  ['duplicate key, one of them escaped', '{"a":1,"\\u0061":2}', /duplicate key "a"/, 107],
  ['byte order mark', '\ufeff{}', /byte order mark/, 100],
  ['bytes ff fe', Uint8Array.of(0xff, 0xfe), /byte 0xff/, 100],
  ['bad UTF-8', Uint8Array.of(QUOTE, 0xc3, 0x28, QUOTE), /not UTF-8/, 100],
  ['overlong UTF-8', Uint8Array.of(QUOTE, 0xc0, 0xaf, QUOTE), /not UTF-8/, 100],
  ['surrogate in UTF-8', Uint8Array.of(QUOTE, 0xed, 0xa0, 0x80, QUOTE), /not UTF-8/, 100],
  ['lone high surrogate', '["\\ud800"]', /lone surrogate/, 101],
  ['lone low surrogate', '"\\udc00x"', /lone surrogate/, 100],
  ['swapped surrogates', '"\\udc00\\ud800"', /lone surrogate/, 100],
  ['raw control character', '"a\u0001"', /control character 0x01/, 102],
  ['unknown escape', '"\\x41"', /unknown escape \\x/, 100],
  ['short unicode escape', '"\\u12"', /unknown escape/, 100],
  ['unterminated string', '"abc', /ends inside a string/, 100],
  ['backslash at the end', '"abc\\', /ends inside a string/, 100],
  ['trailing comma', '[1,]', /expected a value, found "]"/, 103],
  ['missing comma', '[1 2]', /expected , or ] after a value, found "2"/, 103],
  ['second value', '{} {}', /expected the end/, 103],
  ['nothing', '', /end of the text/, 100],
  ['200k nested arrays', '['.repeat(200_000), /nested more than 64/, 100 + MAX_JSON_DEPTH],
  ['Infinity', '[Infinity]', /found "I"/, 101],
  ['truncated literal', '[tru', /found "t"/, 101],
])('%s', (_, text, message, offset) => {
  const error = failure(() => read(text, (json) => json.value()));
  expect(error.message).toMatch(message);
  expect(error.place.offset).toBe(offset);
});

test('surrogate pairs are read', () =>
  expect(read('"\\ud83d\\ude00 \\/"', (json) => json.string())).toBe('\u{1f600} /'));

test.each(['1e999', '9007199254740993', '-9007199254740993'])('%s does not become a rounded double', (text) => {
  expect(failure(() => read(`{"a":${text}}`, (json) => json.plain())).message).toMatch(/exactly/);
});

test('integers that doubles hold exactly stay', () => {
  expect(read('[9007199254740992,1000000000000000019884624838656]', (json) => json.plain())).toEqual([2 ** 53, 1e30]);
});
