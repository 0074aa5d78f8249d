import type { StoredField } from '../../backends/stored_field.ts';
import { FIELD_BITS } from '../../backends/stored_field.ts';
import type { Program } from '../../ir/graph.ts';
import type { TensorData } from '../../ir/tensor.ts';
import { codesOf, compareCoded, compareValues, valuesOf, type Pair, type WeightDifference } from './compare_rows.ts';
import { ExpectedWeights } from './expected.ts';
import { matchFields } from './match.ts';
import { BundleFiles, rowElements } from './read_field.ts';

export interface VerifyWeightsOptions {
  /** Folder of the bundle. */
  readonly dir: string;
  /** What its backend finds in it. */
  readonly fields: readonly StoredField[];
  /** The program whose weights it must hold: of a precision with codes, that of the codes. */
  readonly program: Program;
  /** The 16-bit float that weights may be rounded to; absent: those that are f32 stay so. */
  readonly narrow?: 'f16' | 'bf16' | undefined;
  /**
   * Weights whose codes activations chose that are not at hand, by name; `all` where nobody knows which. They are not
   * compared where they are stored as codes.
   */
  readonly codesUnknown?: ReadonlySet<string> | 'all';
  /** Hears of compared bytes of the bundle, and of all. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

export interface WeightsReport {
  readonly passed: boolean;
  /** Stored tensors that were compared, and elements of them. */
  readonly tensors: number;
  readonly elements: number;
  /** Bytes of the bundle that they are. */
  readonly bytes: number;
  /** The first of each stored tensor; at most 20. */
  readonly differences: readonly WeightDifference[];
  /** What has no counterpart on the other side, a sentence each. */
  readonly problems: readonly string[];
  /** Weights of which nothing can be said: those whose codes cannot be made again. */
  readonly unknown: readonly string[];
  /** Why, where it is for something else. */
  readonly unknownBecause?: string;
  readonly seconds: number;
}

/** Bytes of floats that are compared at once. */
const STRIP_BYTES = 16 * 1024 * 1024;
/** Codes that are made again at once, while as many are compared: with what is stored, some 64 MB. */
const STRIP_CODES = 16 * 1024 * 1024;
/** Tensors that differ, of which no more are compared then. */
export const MOST_DIFFERENCES = 20;

/**
 * Compares every element of every stored weight with what the program says it is: the cast of the checkpoint's own
 * value, or the code made of it again. Floats are compared by their bits. Reads the bundle once, and of a weight no
 * more than some megabytes at a time.
 * @throws VerifyError for a file that ends within a weight; the signal's reason
 */
export async function verifyWeights(options: VerifyWeightsOptions): Promise<WeightsReport> {
  const { dir, fields, program, narrow, codesUnknown = new Set(), signal, onProgress } = options;
  const started = performance.now();
  const { pairs, problems, unknown } = matchFields(fields, new ExpectedWeights(program), { narrow, codesUnknown });
  const total = pairs.reduce((sum, pair) => sum + bytesOf(pair), 0);
  const differences: WeightDifference[] = [];
  const files = new BundleFiles(dir);
  let done = 0;
  const each = (difference: WeightDifference | undefined) => {
    if (difference) differences.push(difference);
  };
  try {
    for (const group of groupsOf(pairs)) {
      signal?.throwIfAborted();
      const before = done;
      const advance = (bytes: number) => {
        signal?.throwIfAborted();
        onProgress?.((done += bytes), total);
      };
      if (differences.length < MOST_DIFFERENCES) {
        if (group[0]!.weight.role === 'values')
          for (const pair of group) each(await compareFloats(files, pair, advance));
        else for (const found of await compareGroup(files, group, advance)) each(found);
      }
      done = before + group.reduce((sum, pair) => sum + bytesOf(pair), 0);
    }
  } finally {
    files.close();
  }
  return {
    passed: differences.length === 0 && problems.length === 0,
    tensors: new Set(pairs.map(({ field }) => `${field.file}\n${field.tensor}`)).size,
    elements: pairs.reduce((sum, { field }) => sum + field.shape[0]! * rowElements(field), 0),
    bytes: total,
    differences: differences.slice(0, MOST_DIFFERENCES),
    problems,
    unknown,
    seconds: (performance.now() - started) / 1000,
  };
}

function bytesOf({ field }: Pair): number {
  const bits = FIELD_BITS[field.dtype] * (field.highHalf === undefined ? 1 : 2);
  return (field.shape[0]! * rowElements(field) * bits) / 8;
}

/**
 * What belongs to the same rows of a weight, codes first: they are made together, and what is made stays only for a
 * short while.
 */
function groupsOf(pairs: readonly Pair[]): readonly (readonly Pair[])[] {
  const groups = new Map<string, Pair[]>();
  for (const [i, pair] of pairs.entries()) {
    const { weight, firstRow, field } = pair;
    const stem = weight.name.replace(/\.(?:codes|scales|zeros)$/, '');
    const key =
      weight.role === 'values'
        ? String(i)
        : `${weight.graph}\n${stem}\n${firstRow}\n${field.shape[0]}\n${field.claim.by}`;
    const group = groups.get(key);
    if (group) group.push(pair);
    else groups.set(key, [pair]);
  }
  const order = { codes: 0, scales: 1, zeros: 2, values: 3 };
  return [...groups.values()].map((group) => group.sort((a, b) => order[a.weight.role] - order[b.weight.role]));
}

async function compareFloats(
  files: BundleFiles,
  pair: Pair,
  advance: (bytes: number) => void,
): Promise<WeightDifference | undefined> {
  const { field } = pair;
  const width = rowElements(field);
  const rowBytes = (width * FIELD_BITS[field.dtype]) / 8;
  const rows = Math.max(1, Math.floor(STRIP_BYTES / rowBytes));
  for await (const { first, count, bytes } of strips(valuesOf(pair), field.shape[0]!, rows)) {
    const difference = compareValues(files, pair, first, count, bytes);
    if (difference) return difference;
    advance(bytes.byteLength);
  }
  return undefined;
}

/** Rows of data in order, some at a time: it is read once from front to back, since it may be a transpose. */
async function* strips(
  data: TensorData,
  rows: number,
  most: number,
): AsyncGenerator<{ readonly first: number; readonly count: number; readonly bytes: Uint8Array }> {
  const rowBytes = data.byteLength / rows;
  let first = 0;
  let filled = 0;
  let count = Math.min(most, rows);
  let bytes = new Uint8Array(count * rowBytes);
  for await (const chunk of data.chunks())
    for (let at = 0; at < chunk.byteLength;) {
      const part = chunk.subarray(at, at + Math.min(chunk.byteLength - at, bytes.byteLength - filled));
      bytes.set(part, filled);
      filled += part.byteLength;
      at += part.byteLength;
      if (filled < bytes.byteLength) continue;
      yield { first, count, bytes };
      first += count;
      filled = 0;
      count = Math.min(most, rows - first);
      if (count * rowBytes !== bytes.byteLength) bytes = new Uint8Array(count * rowBytes);
    }
}

async function compareGroup(
  files: BundleFiles,
  group: readonly Pair[],
  advance: (bytes: number) => void,
): Promise<readonly WeightDifference[]> {
  const rows = Math.max(...group.map(({ field }) => field.shape[0]!));
  const width = Math.max(...group.map(({ field }) => rowElements(field)));
  // an even number of rows: one of 4-bit zero points may end within a byte
  const most = Math.max(2, Math.floor(STRIP_CODES / width / 2) * 2);
  const found = new Map<Pair, WeightDifference>();
  const countAt = (first: number) => Math.min(most, rows - first);
  const codesAt = (first: number) => codesOf(group, first, countAt(first));
  let coming = codesAt(0);
  for (let first = 0; first < rows; first += most) {
    const [count, codes] = [countAt(first), await coming];
    // made by other threads while this one compares
    if (first + most < rows) coming = codesAt(first + most);
    coming.catch(() => {});
    for (const pair of group) {
      if (found.has(pair)) continue;
      const difference = await compareCoded(files, pair, { first, count, ...(codes && { codes }) });
      if (difference) found.set(pair, difference);
    }
    advance(group.reduce((sum, pair) => sum + (bytesOf(pair) * count) / rows, 0));
  }
  return [...found.values()];
}
