import { closeSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { openRegularSync } from '../../backends/regular_file.js';
import { FIELD_BITS, type StoredField } from '../../backends/stored_field.ts';
import { VerifyError } from '../error.ts';

/** Bit patterns of elements, each in the smallest whole type that holds it. */
export type Patterns = Uint8Array | Uint16Array | Uint32Array;

/** The most of a file that is read for some rows at once. */
const SPAN_BYTES = 64 * 1024 * 1024;

/** Files of a bundle, each opened once. */
export class BundleFiles {
  readonly #dir: string;
  readonly #open = new Map<string, number>();

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Bytes [begin, begin + out.byteLength) into `out`. @throws VerifyError when the file is shorter */
  read(file: string, begin: number, out: Uint8Array): void {
    const handle = this.#open.get(file) ?? openRegularSync(join(this.#dir, file));
    this.#open.set(file, handle);
    for (let at = 0; at < out.byteLength;) {
      const count = readSync(handle, out, at, out.byteLength - at, begin + at);
      if (count === 0)
        throw new VerifyError(
          'bad_bundle',
          `${join(this.#dir, file)} ends at byte ${begin + at}, within a weight`,
          'copy the bundle again, or convert again',
        );
      at += count;
    }
  }

  close(): void {
    for (const handle of this.#open.values()) closeSync(handle);
    this.#open.clear();
  }
}

/** Elements of a row of a field. */
export function rowElements({ shape }: StoredField): number {
  return shape.slice(1).reduce((product, size) => product * size, 1);
}

/** Where element `at` of a row lies, in bits of the file. */
export function bitOf(field: StoredField, row: number, at: number): number {
  let bit = field.firstBit + row * (field.strides[0] ?? 0);
  let rest = at;
  for (let axis = field.shape.length - 1; axis > 0; axis--) {
    bit += (rest % field.shape[axis]!) * field.strides[axis]!;
    rest = Math.floor(rest / field.shape[axis]!);
  }
  return bit;
}

/**
 * Whether rows are bytes one behind the other, with `rowBytes` of each: then nothing has to be moved to compare them.
 */
export function packedRowBytes(field: StoredField): number | undefined {
  const bits = FIELD_BITS[field.dtype];
  const rowBits = rowElements(field) * bits;
  if (field.highHalf !== undefined || rowBits % 8 !== 0 || field.firstBit % 8 !== 0) return undefined;
  if ((field.strides[0] ?? 0) % 8 !== 0) return undefined;
  return isRun(field, bits) ? rowBits / 8 : undefined;
}

/** Rows [first, first + count) whose bytes lie as `packedRowBytes` says, without what lies between them. */
export function readPackedRows(
  files: BundleFiles,
  field: StoredField,
  first: number,
  count: number,
  rowBytes: number,
): Uint8Array {
  const stride = (field.strides[0] ?? 0) / 8;
  const begin = (field.firstBit + first * (field.strides[0] ?? 0)) / 8;
  if (stride === rowBytes || count === 1) {
    const bytes = new Uint8Array(count * rowBytes);
    files.read(field.file, begin, bytes);
    return bytes;
  }
  const span = new Uint8Array((count - 1) * stride + rowBytes);
  files.read(field.file, begin, span);
  const bytes = new Uint8Array(count * rowBytes);
  for (let row = 0; row < count; row++) bytes.set(span.subarray(row * stride, row * stride + rowBytes), row * rowBytes);
  return bytes;
}

/** Elements of rows [first, first + count) in C order, whatever their strides. */
export function readPatterns(files: BundleFiles, field: StoredField, first: number, count: number): Patterns {
  const width = rowElements(field);
  if (field.highHalf !== undefined) return joinedHalves(files, field, field.highHalf, first, count);
  const bits = FIELD_BITS[field.dtype];
  const packed = packedRowBytes(field);
  if (packed !== undefined) return patternsIn(readPackedRows(files, field, first, count, packed), bits);
  const columns = columnStride(field);
  if (columns !== undefined && bits >= 8 && (field.strides[0] ?? 0) === bits && width > 1)
    return readColumns(files, field, columns, first, count);
  const inner = Float64Array.from({ length: width }, (_, at) => bitOf(field, 0, at) - field.firstBit);
  const rowStride = field.strides[0] ?? 0;
  const base = field.firstBit + first * rowStride;
  const low = Math.floor((base + least(inner)) / 8);
  const high = Math.ceil((base + (count - 1) * rowStride + largest(inner) + bits) / 8);
  if (high - low > SPAN_BYTES)
    throw new RangeError(`${field.tensor}: ${count} rows lie over ${high - low} bytes of ${field.file}`);
  const span = new Uint8Array(high - low);
  files.read(field.file, low, span);
  return gathered(span, base - 8 * low, { rowStride, inner, count, bits });
}

/** Elements of bytes, one behind the other; of 4 bits the first in the low half of a byte. */
export function patternsIn(bytes: Uint8Array, bits: number): Patterns {
  if (bits === 4) {
    const out = new Uint8Array(2 * bytes.length);
    for (let i = 0; i < bytes.length; i++) {
      out[2 * i] = bytes[i]! & 15;
      out[2 * i + 1] = bytes[i]! >> 4;
    }
    return out;
  }
  const size = bits / 8;
  const aligned = bytes.byteOffset % size === 0 ? bytes : bytes.slice();
  return new (typeOf(bits))(aligned.buffer as ArrayBuffer, aligned.byteOffset, aligned.byteLength / size);
}

/** Elements at bit `base` + row · rowStride + inner[k] of a span. */
function gathered(
  span: Uint8Array,
  base: number,
  {
    rowStride,
    inner,
    count,
    bits,
  }: { readonly rowStride: number; readonly inner: Float64Array; readonly count: number; readonly bits: number },
): Patterns {
  const width = inner.length;
  if (bits === 4) {
    const out = new Uint8Array(count * width);
    for (let row = 0, to = 0; row < count; row++)
      for (let k = 0; k < width; k++, to++) {
        const bit = base + row * rowStride + inner[k]!;
        out[to] = (span[Math.floor(bit / 8)]! >> (bit % 8)) & 15;
      }
    return out;
  }
  const size = bits / 8;
  const out = new (typeOf(bits))(count * width);
  for (let row = 0, to = 0; row < count; row++)
    for (let k = 0; k < width; k++, to++) {
      const at = (base + row * rowStride + inner[k]!) / 8;
      let value = span[at]!;
      for (let byte = 1; byte < size; byte++) value |= span[at + byte]! << (8 * byte);
      out[to] = value;
    }
  return out;
}

/** A matrix that lies column after column: as many rows of each column as are wanted, turned in squares. */
function readColumns(
  files: BundleFiles,
  field: StoredField,
  columnBits: number,
  first: number,
  count: number,
): Patterns {
  const width = rowElements(field);
  const bits = FIELD_BITS[field.dtype];
  const size = bits / 8;
  const begin = field.firstBit / 8 + first * size;
  const bytes = new Uint8Array(width * count * size);
  if (columnBits / 8 === count * size) files.read(field.file, begin, bytes);
  else
    for (let column = 0; column < width; column++)
      files.read(
        field.file,
        begin + (column * columnBits) / 8,
        bytes.subarray(column * count * size, (column + 1) * count * size),
      );
  const columns = new (typeOf(bits))(bytes.buffer);
  const out = new (typeOf(bits))(width * count);
  turn(columns, width, count, out);
  return out;
}

/** Edge of the squares in which a matrix is turned: two of them fit into the first cache. */
const SQUARE = 64;

/**
 * [rows, columns] to [columns, rows]. A loop for each size of element: one that meets all of them takes several times
 * as long.
 */
function turn(source: Patterns, rows: number, columns: number, out: Patterns): void {
  for (let top = 0; top < rows; top += SQUARE)
    for (let left = 0; left < columns; left += SQUARE) {
      const square = { top, left, bottom: Math.min(top + SQUARE, rows), right: Math.min(left + SQUARE, columns) };
      if (source instanceof Uint16Array) turn16(source, rows, columns, out as Uint16Array, square);
      else if (source instanceof Uint32Array) turn32(source, rows, columns, out as Uint32Array, square);
      else turn8(source, rows, columns, out as Uint8Array, square);
    }
}

interface Square {
  readonly top: number;
  readonly left: number;
  readonly bottom: number;
  readonly right: number;
}

function turn8(source: Uint8Array, rows: number, columns: number, out: Uint8Array, square: Square): void {
  const { top, left, bottom, right } = square;
  for (let column = left; column < right; column++)
    for (let row = top, to = column * rows + top, at = top * columns + column; row < bottom; row++, to++, at += columns)
      out[to] = source[at]!;
}

function turn16(source: Uint16Array, rows: number, columns: number, out: Uint16Array, square: Square): void {
  const { top, left, bottom, right } = square;
  for (let column = left; column < right; column++)
    for (let row = top, to = column * rows + top, at = top * columns + column; row < bottom; row++, to++, at += columns)
      out[to] = source[at]!;
}

function turn32(source: Uint32Array, rows: number, columns: number, out: Uint32Array, square: Square): void {
  const { top, left, bottom, right } = square;
  for (let column = left; column < right; column++)
    for (let row = top, to = column * rows + top, at = top * columns + column; row < bottom; row++, to++, at += columns)
      out[to] = source[at]!;
}

function joinedHalves(
  files: BundleFiles,
  field: StoredField,
  distance: number,
  first: number,
  count: number,
): Patterns {
  const halves = { ...field, highHalf: undefined };
  const rowBytes = packedRowBytes(halves);
  const stride = (field.strides[0] ?? 0) / 8;
  if (rowBytes !== undefined && distance % 8 === 0 && Math.abs(distance / 8) < stride)
    return joinedRows(files, halves, { distance: distance / 8, stride, rowBytes, first, count });
  const low = readPatterns(files, halves, first, count);
  const high = readPatterns(files, { ...halves, firstBit: field.firstBit + distance }, first, count);
  for (let i = 0; i < low.length; i++) low[i] = low[i]! | (high[i]! << 4);
  return low;
}

/** Rows of low halves and of high ones by turns, two to a byte: read once, and joined as they are unpacked. */
function joinedRows(
  files: BundleFiles,
  field: StoredField,
  {
    distance,
    stride,
    rowBytes,
    first,
    count,
  }: {
    /** In bytes, as all here. */
    readonly distance: number;
    readonly stride: number;
    readonly rowBytes: number;
    readonly first: number;
    readonly count: number;
  },
): Uint8Array {
  const span = new Uint8Array((count - 1) * stride + Math.abs(distance) + rowBytes);
  files.read(field.file, field.firstBit / 8 + first * stride + Math.min(0, distance), span);
  const out = new Uint8Array(2 * count * rowBytes);
  const [lows, highs] = [Math.max(0, -distance), Math.max(0, distance)];
  for (let row = 0, to = 0; row < count; row++)
    for (let at = row * stride, end = at + rowBytes; at < end; at++, to += 2) {
      const [low, high] = [span[lows + at]!, span[highs + at]!];
      out[to] = (low & 15) | ((high & 15) << 4);
      out[to + 1] = (low >> 4) | (high & 0xf0);
    }
  return out;
}

/** Whether the elements of a row lie one behind the other. */
function isRun({ shape, strides }: StoredField, bits: number): boolean {
  let expected = bits;
  for (let axis = shape.length - 1; axis > 0; axis--) {
    if (shape[axis]! > 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}

/** The stride of the elements of a row, where they have one, of whole bytes. */
function columnStride({ shape, strides, firstBit }: StoredField): number | undefined {
  const stride = strides[1];
  return shape.length === 2 && stride !== undefined && stride % 8 === 0 && firstBit % 8 === 0 ? stride : undefined;
}

function typeOf(bits: number): typeof Uint8Array | typeof Uint16Array | typeof Uint32Array {
  return bits <= 8 ? Uint8Array : bits === 16 ? Uint16Array : Uint32Array;
}

function least(values: Float64Array): number {
  return values.reduce((a, b) => Math.min(a, b), Infinity);
}

function largest(values: Float64Array): number {
  return values.reduce((a, b) => Math.max(a, b), -Infinity);
}
