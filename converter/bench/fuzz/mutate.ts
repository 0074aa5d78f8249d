import { jsonChange } from './json_changes.ts';
import { below, LITERALS, of, randomFrom, WORDS, type Change } from './random.ts';

/** What readers stumble over, as numbers of 1, 2, 4 and 8 bytes. */
const NUMBERS = [0n, 1n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n, 0xffffn, 0x7fffffffn, 0x80000000n, 0xffffffffn];
const LARGE = [...NUMBERS, 1n << 40n, (1n << 53n) + 1n, 1n << 63n, (1n << 64n) - 1n];

const splice = (bytes: Buffer, at: number, removed: number, added: Uint8Array) =>
  Buffer.concat([bytes.subarray(0, at), added, bytes.subarray(at + removed)]);

const CHANGES: readonly Change[] = [
  (bytes, random) => {
    const at = below(random, bytes.length);
    bytes[at]! ^= 1 << below(random, 8);
    return bytes;
  },
  (bytes, random) => {
    bytes[below(random, bytes.length)] = below(random, 256);
    return bytes;
  },
  function number(bytes, random) {
    const size = of(random, [1, 2, 4, 8] as const);
    const at = below(random, Math.max(1, bytes.length - size));
    const value = Buffer.alloc(8);
    value.writeBigUInt64LE(BigInt.asUintN(8 * size, of(random, LARGE)));
    const own = value.subarray(0, size);
    return splice(bytes, at, size, random() < 0.5 ? own : own.reverse());
  },
  (bytes, random) => splice(bytes, below(random, bytes.length + 1), 0, Buffer.from(of(random, WORDS))),
  function digits(bytes, random) {
    const text = bytes.toString('latin1');
    const found = [...text.matchAll(/-?\d+(?:\.\d+)?/g)];
    if (found.length === 0) return bytes;
    const { index, 0: run } = of(random, found);
    return splice(bytes, index, run.length, Buffer.from(of(random, LITERALS)));
  },
  function quoted(bytes, random) {
    const text = bytes.toString('latin1');
    const found = [...text.matchAll(/"[^"\\]{0,80}"/g)];
    if (found.length === 0) return bytes;
    const [from, to] = [of(random, found), of(random, found)];
    return splice(bytes, from.index, from[0].length, Buffer.from(to[0], 'latin1'));
  },
  function cutOut(bytes, random) {
    const at = below(random, bytes.length);
    return splice(bytes, at, 1 + below(random, Math.min(64, bytes.length - at)), Buffer.alloc(0));
  },
  function again(bytes, random) {
    const at = below(random, bytes.length);
    const part = bytes.subarray(at, at + 1 + below(random, 128));
    return splice(bytes, below(random, bytes.length + 1), 0, part);
  },
  function joined(bytes, random, others) {
    const other = of(random, others);
    return Buffer.concat([
      bytes.subarray(0, below(random, bytes.length + 1)),
      other.subarray(below(random, other.length + 1)),
    ]);
  },
  (bytes, random) => bytes.subarray(0, below(random, bytes.length + 1)),
];

/** No longer than this: more is more of the same. */
const LONGEST = 1 << 20;

/** One of the seeds with a few changes: the same for the same number. Half of what is JSON stays JSON. */
export function mutated(seeds: readonly Uint8Array[], number: number): Uint8Array {
  const random = randomFrom(number);
  let bytes = Buffer.from(of(random, seeds));
  const changes = random() < 0.5 && jsonChange(bytes, random, seeds) !== bytes ? [jsonChange] : CHANGES;
  for (let left = 1 + below(random, 6); left > 0 && bytes.length > 0; left--)
    bytes = Buffer.from(of(random, changes)(bytes, random, seeds));
  return Uint8Array.from(bytes.subarray(0, LONGEST));
}
