import { createHash } from 'node:crypto';
import { FIELD_BITS, type StoredField } from '../../backends/stored_field.ts';
import { dtypes, isFloat } from '../../ir/dtypes/index.ts';
import type { Program } from '../../ir/graph.ts';
import { elementCount, readBytes, type TensorData } from '../../ir/tensor.ts';
import { castData } from '../../ir/views/cast.ts';
import { mapData } from '../../ir/views/map.ts';
import type { WeightDifference } from './compare_rows.ts';
import { ExpectedWeights, type Expected } from './expected.ts';
import { bitOf, BundleFiles, patternsIn, readPatterns, rowElements, type Patterns } from './read_field.ts';
import type { WeightsReport } from './verify_weights.ts';

export interface WeightsByValueOptions {
  /** Folder of the bundle. */
  readonly dir: string;
  /** What is stored in it, as the ops that read it take it; what it is called says nothing. */
  readonly fields: readonly StoredField[];
  readonly program: Program;
  /** The graphs of the program that the bundle has. */
  readonly graphs: readonly string[];
  readonly signal?: AbortSignal | undefined;
}

/** Where a row of some values is stored. */
interface Place {
  readonly field: StoredField;
  readonly row: number;
}

type FloatDType = 'f32' | 'f16' | 'bf16';

/** Rows that are hashed at once. */
const STRIP_BYTES = 16 * 1024 * 1024;
/** Places of equal rows that are kept: the row of a bias of zeros is everywhere. */
const MOST_PLACES = 4;
const MOST_DIFFERENCES = 20;
/** Of a weight's rows: fewer that are stored elsewhere, or out of order, are a fault; more are another layout. */
const FEW = 0.1;

/**
 * Finds a checkpoint's weights in a bundle that calls them something else: by the values of their rows, cast to what
 * they may be stored in, wherever they lie: several weights may be joined in one tensor, or one be cut. A weight of
 * which nearly all rows are there differs in the others, which are named; one that is not there as it is (folded into
 * another, scaled, codes) is unknown: nothing is said of it. Rows of zeros are not asked for. Undefined when less than
 * half of the elements were found.
 * @throws VerifyError for a file that ends within a weight; the signal's reason
 */
export async function weightsByValue({
  dir,
  fields,
  program,
  graphs,
  signal,
}: WeightsByValueOptions): Promise<WeightsReport | undefined> {
  const started = performance.now();
  const floats = fields.filter(({ dtype }) => isFloat(dtype)).map(asRows);
  const files = new BundleFiles(dir);
  try {
    const places = new Map<string, Place[]>();
    for (const field of floats) {
      signal?.throwIfAborted();
      let row = 0;
      for (const key of hashesOf(files, field)) {
        const same = places.get(key);
        if (!same) places.set(key, [{ field, row }]);
        else if (same.length < MOST_PLACES) same.push({ field, row });
        row++;
      }
    }
    const stored = [...new Set(floats.map(({ dtype }) => dtype as FloatDType))];
    const all = new ExpectedWeights(program).all.filter(
      ({ role, graph, data }) => role === 'values' && data && graphs.includes(graph),
    );
    const found: Expected[] = [];
    const unknown: string[] = [];
    const differences: WeightDifference[] = [];
    for (const weight of all) {
      signal?.throwIfAborted();
      const verdict = await lookUp(files, weight, stored, places);
      if (verdict === 'unknown') unknown.push(weight.name);
      else {
        found.push(weight);
        if (verdict === 'found' || differences.length === MOST_DIFFERENCES) continue;
        // a head and a table that share their bytes
        const isKnown = differences.some(({ file, offset }) => file === verdict.file && offset === verdict.offset);
        if (!isKnown) differences.push(verdict);
      }
    }
    const sizeOf = (weights: readonly Expected[]) =>
      weights.reduce((sum, { data }) => sum + elementCount(data!.shape), 0);
    // tables of angles are the same in every export
    if (differences.length === 0 && sizeOf(found) < sizeOf(all) / 2) return undefined;
    return {
      passed: differences.length === 0,
      tensors: found.length,
      elements: sizeOf(found),
      bytes: found.reduce((sum, { data }) => sum + data!.byteLength, 0),
      differences,
      problems: [],
      unknown,
      unknownBecause: 'of which no tensor has the values: folded into others, scaled, or computed where they are used',
      seconds: (performance.now() - started) / 1000,
    };
  } finally {
    files.close();
  }
}

/** One axis is one row. */
function asRows(field: StoredField): StoredField {
  if (field.shape.length > 1) return field;
  return { ...field, shape: [1, ...field.shape], strides: [0, ...field.strides] };
}

function* hashesOf(files: BundleFiles, field: StoredField): Iterable<string> {
  const width = rowElements(field);
  const step = Math.max(1, Math.floor(STRIP_BYTES / ((width * FIELD_BITS[field.dtype]) / 8)));
  for (let first = 0; first < field.shape[0]!; first += step) {
    const patterns = readPatterns(files, field, first, Math.min(step, field.shape[0]! - first));
    for (let at = 0; at < patterns.length; at += width) yield hashOf(bytesOf(patterns.subarray(at, at + width)));
  }
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('base64').slice(0, 16);
}

function bytesOf({ buffer, byteOffset, byteLength }: Patterns): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Whether a weight is stored, in whatever dtype; the first row that differs when nearly all of it is. */
async function lookUp(
  files: BundleFiles,
  { name, data }: Expected,
  stored: readonly FloatDType[],
  places: ReadonlyMap<string, readonly Place[]>,
): Promise<'found' | 'unknown' | WeightDifference> {
  let near: WeightDifference | undefined;
  for (const dtype of stored)
    for (const form of formsOf(data!)) {
      const rows = await rowsOf(castData(form, dtype));
      const at = rows.map(({ key }) => (key === undefined ? undefined : (places.get(key) ?? [])));
      const asked = at.filter((each) => each !== undefined);
      const missing = asked.filter((each) => each.length === 0).length;
      const order = outOfOrder(at);
      const copy = wrongCopy(at, asked.length);
      if (copy) {
        near ??= differenceIn(files, name, copy.row, rows[copy.row]!.bytes, copy.own);
        continue;
      }
      if (asked.length > 0 && missing === 0 && order.length === 0) return 'found';
      if (rows.length === 1 || missing + order.length > FEW * asked.length) continue;
      const row = missing > 0 ? at.findIndex((each) => each?.length === 0) : order[0]!;
      near ??= differenceIn(files, name, row, rows[row]!.bytes, at);
    }
  return near ?? 'unknown';
}

/** As it is, and what norms multiply by where the weight is counted from 1. */
function formsOf(data: TensorData): readonly TensorData[] {
  return data.shape.length === 1 ? [data, mapData(castData(data, 'f32'), (x) => 1 + x)] : [data];
}

interface Row {
  readonly bytes: Uint8Array;
  /** Undefined for a row of zeros. */
  readonly key: string | undefined;
}

async function rowsOf(data: TensorData): Promise<readonly Row[]> {
  const bytes = await readBytes(data);
  const count = data.shape.length > 1 ? data.shape[0]! : 1;
  const size = bytes.byteLength / count;
  return Array.from({ length: count }, (_, row) => {
    const own = bytes.subarray(row * size, (row + 1) * size);
    return { bytes: own, key: own.every((byte) => byte === 0) ? undefined : hashOf(own) };
  });
}

/**
 * A tensor that has nearly all rows, in nearly their order, and the first row that it has not in its place: that one
 * may well lie in another tensor, as in a head that is tied to the table.
 */
function wrongCopy(
  at: readonly (readonly Place[] | undefined)[],
  asked: number,
): { readonly own: readonly (readonly Place[] | undefined)[]; readonly row: number } | undefined {
  if (asked < 2) return undefined;
  const rows = new Map<StoredField, number>();
  for (const places of at)
    for (const field of new Set(places?.map((place) => place.field))) rows.set(field, (rows.get(field) ?? 0) + 1);
  for (const [tensor, count] of rows) {
    if (asked - count > FEW * asked) continue;
    // of a row that is everywhere not every place is known
    const own = at.map((each) =>
      each?.length === MOST_PLACES ? undefined : each?.filter(({ field }) => field === tensor),
    );
    const missing = own.flatMap((each, row) => (each?.length === 0 ? [row] : []));
    const wrong = missing.length > 0 ? missing : outOfOrder(own);
    if (wrong.length > 0 && wrong.length <= FEW * asked) return { own, row: wrong[0]! };
  }
  return undefined;
}

/** Rows that lie in the tensor of the row before them, and not behind it. */
function outOfOrder(at: readonly (readonly Place[] | undefined)[]): readonly number[] {
  return at.flatMap((places, row) => {
    const before = at[row - 1];
    if (!places?.length || !before?.length) return [];
    const follows = places.some((place) =>
      before.some((other) => place.field !== other.field || place.row === other.row + 1),
    );
    return follows ? [] : [row];
  });
}

/** A row that is not where it should be: behind the row before it, or before the row behind it. */
function differenceIn(
  files: BundleFiles,
  weight: string,
  row: number,
  wanted: Uint8Array,
  at: readonly (readonly Place[] | undefined)[],
): WeightDifference | undefined {
  const [before] = at[row - 1] ?? [];
  const [behind] = at[row + 1] ?? [];
  const place = before ? { field: before.field, row: before.row + 1 } : behind && { ...behind, row: behind.row - 1 };
  if (!place || place.row < 0 || place.row >= place.field.shape[0]!) return undefined;
  const { field } = place;
  const got = readPatterns(files, field, place.row, 1);
  const want = patternsIn(wanted, FIELD_BITS[field.dtype]);
  const element = got.findIndex((value, i) => value !== want[i]);
  if (element === -1) return undefined;
  return {
    tensor: field.tensor,
    weight,
    part: 'values',
    file: field.file,
    offset: Math.floor(bitOf(field, place.row, element) / 8),
    row,
    element,
    found: numberText(field, got, element),
    expected: numberText(field, want, element),
  };
}

function numberText({ dtype }: StoredField, patterns: Patterns, element: number): string {
  const out = new Float64Array(1);
  dtypes[dtype].decode(bytesOf(patterns.slice(element, element + 1)), 1, out, 0);
  return String(out[0]);
}
