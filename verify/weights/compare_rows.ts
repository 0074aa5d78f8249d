import { FIELD_BITS, type StoredField } from '../../backends/stored_field.ts';
import { dtypes, isFloat } from '../../ir/dtypes/index.ts';
import { signBits } from '../../ir/formats/index.ts';
import { elementCount, readBytes, type TensorData } from '../../ir/tensor.ts';
import { castData } from '../../ir/views/cast.ts';
import { sliceRows } from '../../ir/views/select.ts';
import type { Expected } from './expected.ts';
import {
  bitOf,
  packedRowBytes,
  patternsIn,
  readPackedRows,
  readPatterns,
  rowElements,
  type Patterns,
} from './read_field.ts';
import type { BundleFiles } from './read_field.ts';

/** A stored field, and the rows of a weight that it must hold, from `firstRow` on: as many as the field has. */
export interface Pair {
  readonly field: StoredField;
  readonly weight: Expected;
  readonly firstRow: number;
}

/** The first element of a field that is not what it should be. */
export interface WeightDifference {
  /** In the bundle. */
  readonly tensor: string;
  /** In the program. */
  readonly weight: string;
  readonly part: Expected['role'];
  readonly file: string;
  /** Byte of the file in which the element begins. */
  readonly offset: number;
  /** Of the weight. */
  readonly row: number;
  /** Element of the row. */
  readonly element: number;
  readonly found: string;
  readonly expected: string;
}

/** Bytes of a weight's own values for rows [first, first + count) of the pair, in the dtype of the field. */
export function valuesOf({ field, weight, firstRow }: Pair): TensorData {
  const data = weight.data!;
  const rows = field.shape[0]!;
  return castData(rows === weight.rows ? data : sliceRows(data, firstRow, firstRow + rows), field.dtype);
}

/** Compares rows of floats, bit by bit, with the bytes that they must have. */
export function compareValues(
  files: BundleFiles,
  pair: Pair,
  first: number,
  count: number,
  want: Uint8Array,
): WeightDifference | undefined {
  const { field } = pair;
  const packed = packedRowBytes(field);
  const bits = FIELD_BITS[field.dtype];
  if (packed !== undefined) {
    const got = readPackedRows(files, field, first, count, packed);
    if (Buffer.compare(got, want) === 0) return undefined;
    return differenceAt(pair, first, patternsIn(got, bits), patternsIn(want, bits));
  }
  return differenceAt(pair, first, readPatterns(files, field, first, count), patternsIn(want, bits));
}

/** Rows of a pair of codes, scales or zero points. */
export interface CodedRows {
  readonly first: number;
  readonly count: number;
  /** The codes of all of a group's rows, made again: see `codesOf`. */
  readonly codes?: Uint8Array;
}

/** Compares rows of codes, of scales or of zero points with those that are made again. */
export async function compareCoded(
  files: BundleFiles,
  pair: Pair,
  rows: CodedRows,
): Promise<WeightDifference | undefined> {
  return pair.weight.role === 'codes' ? compareCodes(files, pair, rows) : compareNumbers(files, pair, rows);
}

/** Bytes of the codes that the first pair of a group must hold in these rows; undefined for one without codes. */
export async function codesOf([pair]: readonly Pair[], first: number, count: number): Promise<Uint8Array | undefined> {
  const { weight, firstRow } = pair!;
  return weight.role === 'codes' ? rowBytes(weight.data!, firstRow + first, count) : undefined;
}

async function compareCodes(
  files: BundleFiles,
  pair: Pair,
  { first, count, codes }: CodedRows,
): Promise<WeightDifference | undefined> {
  const { field, weight, firstRow } = pair;
  const q = weight.data!;
  const bytes = codes ?? (await rowBytes(q, firstRow + first, count));
  const width = rowElements(field);
  const columns = elementCount(q.shape.slice(1));
  const bits = dtypes[q.dtype].bits;
  const packed = packedRowBytes(field);
  const flip = signBits(q.dtype) ^ signBits(field.dtype);
  if (packed !== undefined && FIELD_BITS[field.dtype] === bits && (field.add ?? 0) === 0 && width === columns) {
    const got = readPackedRows(files, field, first, count, packed);
    if (flip !== 0) for (let i = 0; i < got.length; i++) got[i]! ^= flip;
    if (Buffer.compare(got, bytes) === 0) return undefined;
  }
  const got = countedFromZero(readPatterns(files, field, first, count), field);
  const want = countedFromZero(patternsIn(bytes, bits), { dtype: q.dtype as StoredField['dtype'] });
  if (width === columns) return differenceAt(pair, first, got, want);
  const meant = Math.min(width, columns);
  return differenceAt(pair, first, rowsOf(got, width, meant), rowsOf(want, columns, meant), meant);
}

/** Scales and zero points, as numbers: those that a field repeats for several blocks must all be the same. */
async function compareNumbers(
  files: BundleFiles,
  pair: Pair,
  { first, count }: CodedRows,
): Promise<WeightDifference | undefined> {
  const { field, weight, firstRow } = pair;
  const width = rowElements(field);
  const codes = weight.codes!;
  const half = 2 ** (dtypes[codes].bits - 1);
  const isSigned = signBits(codes) !== 0;
  const got = numbersOf(readPatterns(files, field, first, count), field);
  const { data } = weight;
  if (!data) return differenceAt(pair, first, got, new Float32Array(got.length).fill(half));
  const own = await ownNumbers(data, firstRow + first, count, weight.role === 'zeros' && isSigned ? half : 0);
  const each = own.length / count;
  const want = each === width ? own : repeated(own, width / each);
  if (field.times !== undefined) for (let i = 0; i < want.length; i++) want[i] = want[i]! * field.times;
  return differenceAt(pair, first, got, want);
}

/** Rows as f32, `shift` added. */
async function ownNumbers(data: TensorData, first: number, count: number, shift: number): Promise<Float32Array> {
  if (isFloat(data.dtype)) {
    const bytes = await rowBytes(castData(data, 'f32'), first, count);
    const values = new Float32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength / 4);
    if (shift !== 0) for (let i = 0; i < values.length; i++) values[i] = values[i]! + shift;
    return values;
  }
  // rows of 4 bits may begin within a byte
  const width = elementCount(data.shape.slice(1));
  const { bits } = dtypes[data.dtype];
  const begin = Math.floor((first * width * bits) / 8);
  const end = Math.ceil(((first + count) * width * bits) / 8);
  const patterns = patternsIn(await readBytes(data, { begin, end }), bits);
  const skipped = first * width - (begin * 8) / bits;
  const counted = countedFromZero(patterns, { dtype: data.dtype as StoredField['dtype'] });
  return Float32Array.from(counted.subarray(skipped, skipped + count * width));
}

function numbersOf(patterns: Patterns, { dtype, add = 0 }: StoredField): Float32Array {
  const out = new Float32Array(patterns.length);
  const mask = signBits(dtype) & (2 ** FIELD_BITS[dtype] - 1);
  if (isFloat(dtype)) {
    const bytes = new Uint8Array(patterns.buffer, patterns.byteOffset, patterns.byteLength);
    dtypes[dtype].decode(bytes, patterns.length, out, 0);
  } else for (let i = 0; i < patterns.length; i++) out[i] = patterns[i]! ^ mask;
  if (add !== 0) for (let i = 0; i < out.length; i++) out[i] = out[i]! + add;
  return out;
}

/** Codes counted from 0 on, in the order of their values. */
function countedFromZero(patterns: Patterns, { dtype, add = 0 }: Pick<StoredField, 'dtype' | 'add'>): Patterns {
  const mask = signBits(dtype) & (2 ** dtypes[dtype].bits - 1);
  if (mask !== 0 || add !== 0) for (let i = 0; i < patterns.length; i++) patterns[i] = (patterns[i]! ^ mask) + add;
  return patterns;
}

/** The first `meant` of each `width`. */
function rowsOf(patterns: Patterns, width: number, meant: number): Patterns {
  const rows = patterns.length / width;
  const out = new Uint8Array(rows * meant);
  for (let row = 0; row < rows; row++) out.set(patterns.subarray(row * width, row * width + meant), row * meant);
  return out;
}

function repeated(values: Float32Array, times: number): Float32Array {
  const out = new Float32Array(values.length * times);
  for (let i = 0; i < values.length; i++) out.fill(values[i]!, i * times, (i + 1) * times);
  return out;
}

async function rowBytes(data: TensorData, first: number, count: number): Promise<Uint8Array> {
  const each = data.byteLength / data.shape[0]!;
  return readBytes(data, { begin: first * each, end: (first + count) * each });
}

/** NaN differs from nothing but other bits: numbers are compared by theirs. */
function differenceAt<T extends Patterns | Float32Array>(
  pair: Pair,
  first: number,
  got: T,
  want: T,
  width = rowElements(pair.field),
): WeightDifference | undefined {
  if (Buffer.compare(bytesOf(got), bytesOf(want)) === 0) return undefined;
  const at = firstDifference(bitsOf(got), bitsOf(want));
  const { field, weight, firstRow } = pair;
  const row = first + Math.floor(at / width);
  const element = at % width;
  const text = (value: number) => valueText(value, weight.role === 'values' ? field : undefined);
  return {
    tensor: field.tensor,
    weight: weight.name,
    part: weight.role,
    file: field.file,
    offset: Math.floor(bitOf(field, row, element) / 8),
    row: firstRow + row,
    element,
    found: text(got[at]!),
    expected: text(want[at]!),
  };
}

function bitsOf(values: Patterns | Float32Array): Patterns {
  return values instanceof Float32Array ? new Uint32Array(values.buffer, values.byteOffset, values.length) : values;
}

function bytesOf({ buffer, byteOffset, byteLength }: Patterns | Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function firstDifference(a: Patterns, b: Patterns): number {
  if (a.length !== b.length) throw new RangeError(`${a.length} elements for ${b.length}`);
  return a.findIndex((value, i) => value !== b[i]);
}

/** A number, and of floats their bits: neighbours may print alike. */
function valueText(value: number, field: StoredField | undefined): string {
  if (!field) return String(value);
  const bits = FIELD_BITS[field.dtype];
  const bytes = new Uint8Array(Uint32Array.of(value).buffer);
  const [number] = decoded(field.dtype, bytes);
  return `${number} (0x${value.toString(16).padStart(bits / 4, '0')})`;
}

function decoded(dtype: StoredField['dtype'], bytes: Uint8Array): Float64Array {
  const out = new Float64Array(1);
  dtypes[dtype].decode(bytes, 1, out, 0);
  return out;
}
