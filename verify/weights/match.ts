import { FIELD_BITS, packedStrides, type FieldDType, type StoredField } from '../../backends/stored_field.ts';
import { elementCount } from '../../ir/tensor.ts';
import { contentKey, rowsBeforeFill } from '../../ir/views/content.ts';
import { sliceRows } from '../../ir/views/select.ts';
import type { Pair } from './compare_rows.ts';
import type { Expected, ExpectedWeights } from './expected.ts';

/** What a bundle stores, beside what its program has: neither side may have a rest. */
export interface Matched {
  readonly pairs: readonly Pair[];
  /** Sentences about what has no counterpart, or not one of its shape. */
  readonly problems: readonly string[];
  /** Names of weights whose codes cannot be made again, which are not compared. */
  readonly unknown: readonly string[];
}

export interface MatchOptions {
  /** The 16-bit float that f32 weights may be stored in. */
  readonly narrow?: FieldDType | undefined;
  /** Weights of the program that may be stored as codes, of activations that are not at hand. */
  readonly codesUnknown: ReadonlySet<string> | 'all';
}

/** Finds for every stored field the rows of the weight that it claims to be. Nothing is read. */
export function matchFields(
  fields: readonly StoredField[],
  expected: ExpectedWeights,
  { narrow, codesUnknown }: MatchOptions,
): Matched {
  const pairs: Pair[] = [];
  const problems: string[] = [];
  const unknown = new Set<string>();
  const rowsDone = new Map<string, number>();
  const shardsDone = new Map<string, number>();
  for (const { field: given, weights, shard } of inShardOrder(fields, expected)) {
    if (weights.length === 0) {
      const codedOf = codedWeight(given, expected);
      if (codedOf && (codesUnknown === 'all' || codesUnknown.has(codedOf.name))) unknown.add(codedOf.name);
      else problems.push(`${placeOf(given)} is no weight of the program`);
      continue;
    }
    let from = 0;
    for (const weight of weights) {
      const field = shaped(given, weight);
      const key = `${weight.graph}\n${weight.name}\n${weight.role}\n${field.claim.by}`;
      const done = rowsDone.get(key) ?? 0;
      const rows = weights.length === 1 ? field.shape[0]! : weight.rows;
      // a shard that is stored, or read, once more has the rows that it had before
      const shardKey = `${key}\n${shard}`;
      const before = shard === undefined ? undefined : shardsDone.get(shardKey);
      const firstRow = before ?? (done === weight.rows ? 0 : done);
      const part = fitting(field, weight, from, rows);
      if (!part || firstRow + rows > weight.rows) {
        problems.push(
          `${placeOf(given)} [${given.shape.join(', ')}] does not hold ${weight.name} [${(weight.data?.shape ?? [weight.rows]).join(', ')}]${firstRow > 0 ? ` from row ${firstRow} on` : ''}`,
        );
        break;
      }
      if (weight.role === 'values' && ![weight.data!.dtype, 'f32', narrow].includes(part.dtype)) {
        problems.push(
          `${placeOf(given)} is ${part.dtype}, and ${weight.name} is ${weight.data!.dtype} in this precision`,
        );
        break;
      }
      pairs.push({ field: part, weight, firstRow });
      if (before === undefined) rowsDone.set(key, firstRow + part.shape[0]!);
      shardsDone.set(shardKey, firstRow);
      from += rows;
    }
    if (weights.length > 1 && from !== given.shape[0])
      problems.push(`${placeOf(given)} has ${given.shape[0]} rows, and the weights that it names ${from}`);
  }
  problems.push(...missing(expected, pairs, rowsDone, unknown));
  return { pairs, problems, unknown: [...unknown] };
}

function placeOf({ tensor, file, firstBit }: StoredField): string {
  return `"${tensor}" (${file}, offset ${Math.floor(firstBit / 8)})`;
}

/** A list of elements one behind the other, or a shape of as many, in the weight's own shape. */
function shaped(field: StoredField, { data }: Expected): StoredField {
  const bits = FIELD_BITS[field.dtype];
  if (!data || field.shape.join() === data.shape.join()) return field;
  const isPacked = field.strides.join() === packedStrides(field.shape, bits).join();
  if (!isPacked || elementCount(field.shape) !== elementCount(data.shape)) return field;
  return { ...field, shape: data.shape, strides: packedStrides(data.shape, bits) };
}

/** Rows [from, from + rows) of a field as the weight has them; undefined when sizes differ. */
function fitting(field: StoredField, weight: Expected, from: number, rows: number): StoredField | undefined {
  const [all, ...rest] = field.shape as readonly [number, ...number[]];
  if (from + rows > all) return undefined;
  const part = {
    ...field,
    shape: [rows, ...rest],
    firstBit: field.firstBit + from * field.strides[0]!,
  };
  if (weight.role !== 'values' || !weight.data) return part;
  const width = elementCount(weight.data.shape.slice(1));
  return elementCount(rest) === width ? part : undefined;
}

interface Claimed {
  readonly field: StoredField;
  readonly weights: readonly Expected[];
  readonly shard?: number | undefined;
}

/**
 * Fields with the weights that they claim to be; shards of one by their number, whatever the order of files, and rows
 * without a number, as those that fill a table up, behind them.
 */
function inShardOrder(fields: readonly StoredField[], expected: ExpectedWeights): readonly Claimed[] {
  const claimed = fields.map((field): Claimed => {
    const found = claimedBy(field, expected);
    return { field, weights: found.map(({ weight }) => weight), shard: found[0]?.shard };
  });
  const numbered = claimed.flatMap((each) => (each.shard === undefined ? [] : [{ ...each, shard: each.shard }]));
  return [...numbered.sort((a, b) => a.shard - b.shard), ...claimed.filter(({ shard }) => shard === undefined)];
}

function claimedBy(
  { claim, graph }: StoredField,
  expected: ExpectedWeights,
): readonly { readonly weight: Expected; readonly shard?: number }[] {
  if (claim.by === 'result') {
    const weight = expected.operandOf(graph, claim.name, claim.operand);
    return weight ? [{ weight }] : [];
  }
  const found = claim.names.map((name) => expected.named(graph, name));
  if (!found.every((each) => each !== undefined)) return [];
  const { operand } = claim;
  if (operand === undefined) return found;
  const beside = found.map(({ weight, ...rest }) => ({ weight: expected.beside(weight, operand), ...rest }));
  return beside.every((each) => each.weight !== undefined) ? (beside as typeof found) : [];
}

/** The weight that codes are of which nobody can make again. */
function codedWeight({ claim, graph }: StoredField, expected: ExpectedWeights): Expected | undefined {
  if (claim.by === 'result') return expected.operandOf(graph, claim.name, 'table');
  const [name] = claim.names;
  const cut = /^(.*)\.(?:codes|scales|zeros)(.*)$/.exec(name!);
  return cut ? expected.named(graph, `${cut[1]}${cut[2]}`)?.weight : undefined;
}

/** Weights of which rows are stored nowhere, under their own name or as rows of another with the same content. */
function missing(
  expected: ExpectedWeights,
  pairs: readonly Pair[],
  rowsDone: ReadonlyMap<string, number>,
  unknown: ReadonlySet<string>,
): string[] {
  const filledUp = new Set(pairs.flatMap(({ field, weight }) => (field.restIsZero ? [weight] : [])));
  const done = (weight: Expected) =>
    ['weight', 'result'].some((by) => {
      const rows = rowsDone.get(`${weight.graph}\n${weight.name}\n${weight.role}\n${by}`) ?? 0;
      return rows === weight.rows || (filledUp.has(weight) && rows >= rowsBeforeFill(weight.data!));
    });
  const whole = [...new Set(pairs.map(({ weight }) => weight))].filter((weight) => weight.data && done(weight));
  return expected.all.flatMap((weight) => {
    if (unknown.has(weight.name) || done(weight) || whole.some((other) => holds(other, weight))) return [];
    const rows = Math.max(
      ...['weight', 'result'].map((by) => rowsDone.get(`${weight.graph}\n${weight.name}\n${weight.role}\n${by}`) ?? 0),
    );
    return [
      `${weight.name} of ${weight.graph} is stored nowhere${rows > 0 ? ` from row ${rows} of ${weight.rows} on` : ''}`,
    ];
  });
}

/** Whether the first rows of a weight are all of another: a table and the head that is tied to it. */
function holds({ data, rows }: Expected, other: Expected): boolean {
  if (!data || !other.data || other.rows > rows || data.dtype !== other.data.dtype) return false;
  if (data.shape.slice(1).join() !== other.data.shape.slice(1).join()) return false;
  return contentKey(sliceRows(data, 0, other.rows)) === contentKey(other.data);
}
