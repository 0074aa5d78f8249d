/** Where EXIF says how a picture was held: a number in a file. */
interface OrientationField {
  /** 1 to 8; 1 is upright, and what everything else counts as. */
  readonly orientation: number;
  /** Of the number in the file: its first byte, its length, its order. */
  readonly at: number;
  readonly bytes: 2 | 4;
  readonly littleEndian: boolean;
}

interface Span {
  readonly begin: number;
  readonly end: number;
}

/** TIFF's Orientation, and the types of numbers that Pillow reads it as: SHORT, LONG, SSHORT, SLONG. */
const ORIENTATION = 0x0112;
const TYPE_BYTES: Readonly<Record<number, 2 | 4>> = { 3: 2, 4: 4, 8: 2, 9: 4 };
const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** Whether a file is a TIFF: Pillow turns those whenever it reads them. */
export function isTiff(file: Uint8Array): boolean {
  return startsWith(file, 0, [0x49, 0x49, 42, 0]) || startsWith(file, 0, [0x4d, 0x4d, 0, 42]);
}

/**
 * EXIF's orientation of a JPEG, PNG, WebP or TIFF, 1 to 8; 1 where it says none, or is damaged. (What turns an AVIF is
 * no EXIF, and done by its decoder.)
 */
export function exifOrientation(file: Uint8Array): number {
  // the last one counts for Pillow
  return orientationFields(file).at(-1)?.orientation ?? 1;
}

/** The file without orientation, which every decoder leaves as it is stored; the same bytes where it has none. */
export function withoutOrientation(file: Uint8Array): Uint8Array {
  const fields = orientationFields(file).filter(({ orientation }) => orientation !== 1);
  if (fields.length === 0) return file;
  const chunk = pngChunk(file);
  // a chunk of a PNG has a checksum
  if (chunk) return joined(file.subarray(0, chunk.begin - 8), file.subarray(chunk.end + 4));
  const copy = new Uint8Array(file);
  const view = new DataView(copy.buffer);
  for (const { at, bytes, littleEndian } of fields)
    if (bytes === 2) view.setUint16(at, 1, littleEndian);
    else view.setUint32(at, 1, littleEndian);
  return copy;
}

/** One, if the file is as it should be. */
function orientationFields(file: Uint8Array): readonly OrientationField[] {
  const exif = isTiff(file) ? { begin: 0, end: file.length } : (ofJpeg(file) ?? pngChunk(file) ?? ofWebp(file));
  return exif ? fieldsOf(file, withoutName(file, exif)) : [];
}

/** Those in the first directory. */
function fieldsOf(file: Uint8Array, { begin, end }: Span): readonly OrientationField[] {
  const tiff = file.subarray(begin, Math.min(end, file.length));
  if (!isTiff(tiff) || tiff.length < 8) return [];
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.length);
  const littleEndian = tiff[0] === 0x49;
  const directory = view.getUint32(4, littleEndian);
  if (directory + 2 > tiff.length) return [];
  const found: OrientationField[] = [];
  for (let i = 0, at = directory + 2; i < view.getUint16(directory, littleEndian); i++, at += 12) {
    if (at + 12 > tiff.length) break;
    const bytes = TYPE_BYTES[view.getUint16(at + 2, littleEndian)];
    if (view.getUint16(at, littleEndian) !== ORIENTATION || !bytes || view.getUint32(at + 4, littleEndian) !== 1)
      continue;
    const value = bytes === 2 ? view.getUint16(at + 8, littleEndian) : view.getUint32(at + 8, littleEndian);
    found.push({ orientation: value >= 1 && value <= 8 ? value : 1, at: begin + at + 8, bytes, littleEndian });
  }
  return found;
}

/** The first APP1 segment that is EXIF, before the scan. */
function ofJpeg(file: Uint8Array): Span | undefined {
  if (!startsWith(file, 0, [0xff, 0xd8])) return undefined;
  for (let at = 2; at + 4 <= file.length && file[at] === 0xff;) {
    const marker = file[at + 1]!;
    // a byte of filling
    if (marker === 0xff) at++;
    else if (marker === 0xda || marker === 0xd9) return undefined;
    else {
      const end = at + 2 + file[at + 2]! * 256 + file[at + 3]!;
      if (marker === 0xe1 && isNamed(file, at + 4)) return { begin: at + 4, end };
      at = end;
    }
  }
  return undefined;
}

/** The data of the chunk eXIf of a PNG. */
function pngChunk(file: Uint8Array): Span | undefined {
  if (!startsWith(file, 0, PNG)) return undefined;
  return chunkOf(file, { from: 8, name: 'eXIf', littleEndian: false });
}

function ofWebp(file: Uint8Array): Span | undefined {
  if (text(file, 0) !== 'RIFF' || text(file, 8) !== 'WEBP') return undefined;
  return chunkOf(file, { from: 12, name: 'EXIF', littleEndian: true });
}

/** PNG: length, name, data, checksum. RIFF: name, length, data, and a byte more where the length is odd. */
function chunkOf(
  file: Uint8Array,
  { from, name, littleEndian }: { readonly from: number; readonly name: string; readonly littleEndian: boolean },
): Span | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  for (let at = from; at + 8 <= file.length;) {
    const length = view.getUint32(littleEndian ? at + 4 : at, littleEndian);
    const begin = at + 8;
    if (text(file, littleEndian ? at : at + 4) === name) return { begin, end: Math.min(begin + length, file.length) };
    at = begin + length + (littleEndian ? length % 2 : 4);
  }
  return undefined;
}

/** Behind the name that EXIF has in a JPEG, and at times elsewhere. */
function withoutName(file: Uint8Array, { begin, end }: Span): Span {
  return { begin: isNamed(file, begin) ? begin + 6 : begin, end };
}

function isNamed(file: Uint8Array, at: number): boolean {
  return text(file, at) === 'Exif' && file[at + 4] === 0 && file[at + 5] === 0;
}

function text(file: Uint8Array, at: number): string {
  return String.fromCharCode(...file.subarray(at, at + 4));
}

function startsWith(file: Uint8Array, at: number, bytes: readonly number[]): boolean {
  return bytes.every((byte, i) => file[at + i] === byte);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const all = new Uint8Array(a.length + b.length);
  all.set(a);
  all.set(b, a.length);
  return all;
}
