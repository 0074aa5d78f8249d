import { MAX_PIXELS } from './max_pixels.ts';
import { rgbImage, type RgbImage } from './rgb_image.ts';

/**
 * The first picture of a GIF (GIF89a specification) as Pillow's `convert('RGB')` gives it: every pixel has its
 * palette's colour, the transparent ones too, which decoders that give RGBA make black. What the picture leaves of the
 * screen has the transparent colour, or the first.
 * @throws Error when it is damaged, or its screen or its picture has more than `maxPixels`
 */
export function decodeGif(bytes: Uint8Array, maxPixels = MAX_PIXELS): RgbImage {
  const reader = new Reader(bytes);
  reader.skip('GIF89a'.length);
  const [width, height] = [reader.u16(), reader.u16()];
  const flags = reader.u8();
  reader.skip(2);
  const shared = paletteOf(reader, flags);
  const { transparent } = untilPicture(reader);
  const [left, top, columns, rows] = [reader.u16(), reader.u16(), reader.u16(), reader.u16()];
  const own = reader.u8();
  const palette = paletteOf(reader, own) ?? shared ?? GREYS;
  if (Math.max(width * height, columns * rows) > maxPixels)
    throw new Error(`a picture of ${columns}×${rows} on a screen of ${width}×${height} pixels`);
  const indices = lzwDecoded(reader, columns * rows);
  const screen = new Uint8Array(width * height).fill(transparent ?? 0);
  const lines = own & INTERLACED ? interlaced(rows) : Array.from({ length: rows }, (_, y) => y);
  for (const [at, y] of lines.entries())
    for (let x = 0; x < columns; x++)
      if (left + x < width && top + y < height) screen[(top + y) * width + left + x] = indices[at * columns + x]!;
  const rgb = new Uint8Array(3 * screen.length);
  for (let i = 0; i < screen.length; i++) rgb.set(palette.subarray(3 * screen[i]!, 3 * screen[i]! + 3), 3 * i);
  return rgbImage(width, height, rgb);
}

const [EXTENSION, PICTURE, GRAPHIC_CONTROL] = [0x21, 0x2c, 0xf9];
const [HAS_PALETTE, INTERLACED, HAS_TRANSPARENT] = [0x80, 0x40, 0x01];

/** Where a file has no palette at all. */
const GREYS = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  u8(): number {
    return this.take(1)[0]!;
  }

  u16(): number {
    return this.u8() | (this.u8() << 8);
  }

  skip(count: number): void {
    this.take(count);
  }

  take(count: number): Uint8Array {
    const taken = this.#bytes.subarray(this.#at, this.#at + count);
    if (taken.length < count) throw new Error('the file ends too early');
    this.#at += count;
    return taken;
  }

  /** A block of data: up to 255 bytes behind their number; none ends a series of blocks. */
  block(): Uint8Array {
    return this.take(this.u8());
  }
}

/** 256 colours, black where the file has fewer. */
function paletteOf(reader: Reader, flags: number): Uint8Array | undefined {
  if (!(flags & HAS_PALETTE)) return undefined;
  const palette = new Uint8Array(768);
  palette.set(reader.take(3 * 2 ** ((flags & 7) + 1)));
  return palette;
}

/** Reads to the first picture; the colour that counts as transparent in it. */
function untilPicture(reader: Reader): { readonly transparent: number | undefined } {
  let transparent: number | undefined;
  for (;;) {
    const kind = reader.u8();
    if (kind === PICTURE) return { transparent };
    // what is neither is skipped, as Pillow does
    if (kind !== EXTENSION) continue;
    const label = reader.u8();
    for (let block = reader.block(), first = true; block.length > 0; block = reader.block(), first = false)
      if (label === GRAPHIC_CONTROL && first && block.length >= 4)
        transparent = block[0]! & HAS_TRANSPARENT ? block[3] : transparent;
  }
}

/** The order in which lines of an interlaced picture come. */
function interlaced(rows: number): readonly number[] {
  const passes = [
    [0, 8],
    [4, 8],
    [2, 4],
    [1, 2],
  ] as const;
  return passes.flatMap(([first, step]) =>
    Array.from({ length: Math.max(0, Math.ceil((rows - first) / step)) }, (_, i) => first + i * step),
  );
}

/** Codes of 12 bits at most. */
const MOST_CODES = 4096;

/** `count` indices by LZW with codes that grow, as the specification's appendix F has them. */
function lzwDecoded(reader: Reader, count: number): Uint8Array {
  const least = reader.u8();
  if (least < 1 || least > 8) throw new Error(`codes of ${least} bits`);
  const [clear, end] = [2 ** least, 2 ** least + 1];
  // what a code means: the index it ends with, behind what its prefix means
  const prefix = new Uint16Array(MOST_CODES);
  const last = new Uint8Array(MOST_CODES).map((_, code) => code);
  const stack = new Uint8Array(MOST_CODES + 1);
  const out = new Uint8Array(count);
  let [made, next, bits, before, first] = [0, end + 1, least + 1, -1, 0];
  let [held, have] = [0, 0];
  for (let block = reader.block(); ; block = reader.block()) {
    if (block.length === 0) throw new Error('the picture ends too early');
    for (const byte of block) {
      held |= byte << have;
      have += 8;
      while (have >= bits) {
        const code = held & (2 ** bits - 1);
        held >>>= bits;
        have -= bits;
        if (code === clear) {
          [next, bits, before] = [end + 1, least + 1, -1];
          continue;
        }
        if (code === end) throw new Error('the picture ends too early');
        if (code > next || (code === next && before < 0) || (before < 0 && code > end))
          throw new Error('a code that means nothing yet');
        let depth = 0;
        let at = code;
        if (code === next) {
          stack[depth++] = first;
          at = before;
        }
        for (; at > end; at = prefix[at]!) stack[depth++] = last[at]!;
        first = last[at]!;
        stack[depth++] = first;
        while (depth > 0 && made < count) out[made++] = stack[--depth]!;
        if (made === count) return out;
        if (before >= 0 && next < MOST_CODES) {
          prefix[next] = before;
          last[next] = first;
          next++;
          if (next === 2 ** bits && bits < 12) bits++;
        }
        before = code;
      }
    }
  }
}
