import { crc32 } from 'node:zlib';

/** Reflected CRC-32 polynomial. */
const POLYNOMIAL = 0xedb88320;

/** a · b modulo the polynomial over GF(2), both reflected (zlib's multmodp). */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let mask = 0x80000000; mask !== 0; mask >>>= 1) {
    if (a & mask) product ^= b;
    b = b & 1 ? (b >>> 1) ^ POLYNOMIAL : b >>> 1;
  }
  return product >>> 0;
}

/** x^(8 · length): what appending `length` bytes multiplies a CRC by. */
function shiftBy(length: number): number {
  let power = 0x00800000; // x^8
  let result = 0x80000000; // 1
  for (let n = length; n > 0; n = Math.floor(n / 2)) {
    if (n % 2 === 1) result = multiply(power, result);
    power = multiply(power, power);
  }
  return result;
}

/** The CRC-32 of A ‖ B from those of A and B and the length of B in bytes. */
export function combineCrc32(a: number, b: number, lengthOfB: number): number {
  return (multiply(shiftBy(lengthOfB), a) ^ b) >>> 0;
}

interface Segment {
  readonly begin: number;
  readonly end: number;
  readonly crc: number;
}

/**
 * The CRC-32 of a byte sequence that is read in pieces, in any order and more than once: each byte counts the first
 * time. What was read in the course of a conversion need not be read again to check it.
 */
export class CrcCoverage {
  /** Disjoint and not adjacent, in order. */
  #segments: Segment[] = [];
  readonly #length: number;

  constructor(length: number) {
    this.#length = length;
  }

  /** Records the bytes that lie at `begin`. */
  add(begin: number, bytes: Uint8Array): void {
    for (const gap of this.#gapsIn(begin, begin + bytes.byteLength))
      this.#insert({ ...gap, crc: crc32(bytes.subarray(gap.begin - begin, gap.end - begin)) });
  }

  /** The ranges that were never read. */
  missing(): { begin: number; end: number }[] {
    return this.#gapsIn(0, this.#length);
  }

  /** The CRC-32 of the whole; undefined while something is missing. */
  get crc(): number | undefined {
    if (this.#length === 0) return 0;
    const [first] = this.#segments;
    return first && first.begin === 0 && first.end === this.#length ? first.crc : undefined;
  }

  #gapsIn(begin: number, end: number): { begin: number; end: number }[] {
    const gaps: { begin: number; end: number }[] = [];
    let at = begin;
    for (const segment of this.#segments) {
      if (segment.end <= at) continue;
      if (segment.begin >= end) break;
      if (segment.begin > at) gaps.push({ begin: at, end: segment.begin });
      at = segment.end;
    }
    if (at < end) gaps.push({ begin: at, end });
    return gaps;
  }

  #insert(segment: Segment): void {
    const index = this.#segments.findIndex((other) => other.begin > segment.begin);
    const at = index < 0 ? this.#segments.length : index;
    const before = this.#segments[at - 1];
    const after = this.#segments[at];
    let merged = segment;
    if (before?.end === merged.begin) merged = join(before, merged);
    if (after?.begin === merged.end) merged = join(merged, after);
    this.#segments.splice(
      before?.end === segment.begin ? at - 1 : at,
      Number(before?.end === segment.begin) + Number(after?.begin === segment.end),
      merged,
    );
  }
}

function join(a: Segment, b: Segment): Segment {
  return { begin: a.begin, end: b.end, crc: combineCrc32(a.crc, b.crc, b.end - b.begin) };
}
