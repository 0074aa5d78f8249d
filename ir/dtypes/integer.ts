import { viewOf, type Codec, type NumberArray } from './codec.ts';

/** Truncates towards zero and saturates; NaN becomes 0. */
export function saturate(x: number, min: number, max: number): number {
  return Number.isNaN(x) ? 0 : Math.min(Math.max(Math.trunc(x), min), max) + 0;
}

interface IntegerLayout<Name extends string> {
  readonly name: Name;
  readonly bits: 8 | 32 | 64;
  readonly kind?: 'int' | 'bool';
  readonly min: number;
  readonly max: number;
  allocate(length: number): NumberArray;
  get(view: DataView, byteOffset: number): number;
  set(view: DataView, byteOffset: number, value: number): void;
  round?(x: number): number;
  /** Bytes that are elements as they lie; absent: each is read by `get`. */
  elements?(bytes: Uint8Array): ArrayLike<number>;
}

/** A codec for integers of whole bytes. */
export function integerCodec<Name extends string>(layout: IntegerLayout<Name>): Codec<Name> {
  const size = layout.bits / 8;
  const round = layout.round ?? ((x: number) => saturate(x, layout.min, layout.max));
  return {
    name: layout.name,
    bits: layout.bits,
    kind: layout.kind ?? 'int',
    max: layout.max,
    allocate: layout.allocate,
    round,
    decode(bytes, count, out, outOffset) {
      if (layout.elements) return out.set(layout.elements(bytes.subarray(0, count)), outOffset);
      const view = viewOf(bytes);
      for (let i = 0; i < count; i++) out[outOffset + i] = layout.get(view, size * i);
    },
    encode(values, offset, count, bytes) {
      const view = viewOf(bytes);
      for (let i = 0; i < count; i++) layout.set(view, size * i, round(values[offset + i]!));
    },
  };
}

/**
 * A codec for 4-bit integers: two in a byte, the first in the low nibble; an odd count leaves the last high nibble 0.
 */
export function nibbleCodec<Name extends string>(name: Name, min: number, max: number): Codec<Name> {
  const values = Int8Array.from({ length: 16 }, (_, n) => (n > max ? n - 16 : n));
  return {
    name,
    bits: 4,
    kind: 'int',
    max,
    allocate: (length) => new Int32Array(length),
    round: (x) => saturate(x, min, max),
    decode(bytes, count, out, outOffset) {
      const pairs = count >> 1;
      for (let i = 0, to = outOffset; i < pairs; i++, to += 2) {
        const byte = bytes[i]!;
        out[to] = values[byte & 15]!;
        out[to + 1] = values[byte >> 4]!;
      }
      if (count % 2 === 1) out[outOffset + count - 1] = values[bytes[pairs]! & 15]!;
    },
    encode(values, offset, count, bytes) {
      for (let i = 0; i < count; i += 2) {
        const low = saturate(values[offset + i]!, min, max) & 15;
        const high = i + 1 < count ? saturate(values[offset + i + 1]!, min, max) & 15 : 0;
        bytes[i >> 1] = low | (high << 4);
      }
    },
  };
}
