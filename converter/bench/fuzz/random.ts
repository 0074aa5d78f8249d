/** Numbers in [0, 1) that follow from a seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

type Random = () => number;
export const below = (random: Random, count: number) => Math.floor(random() * count);
export const of = <T>(random: Random, list: readonly T[]) => list[below(random, list.length)]!;

/** Makes something else of a file; the bytes are its own, `others` are whole files of the kind. */
export type Change = (bytes: Buffer, random: Random, others: readonly Uint8Array[]) => Buffer;

/** What readers stumble over in place of a number. */
export const LITERALS = [
  'null',
  'true',
  '-1',
  '-0',
  '1e999',
  '4.0',
  '9007199254740993',
  '18446744073709551616',
] as const;

/** What readers stumble over as text. */
export const WORDS = [
  ...LITERALS,
  '__proto__',
  'constructor',
  '../../x',
  '\0',
  '\n::error::x',
  '\u202e',
  '\ufeff',
  '"',
  '{}',
  '[]',
  '['.repeat(200),
  '{"a":'.repeat(100),
  'a'.repeat(5000),
  '(?:.|.)*#',
] as const;
