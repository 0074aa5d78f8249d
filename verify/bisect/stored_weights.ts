import type { FormatName } from '../../ir/formats/index.ts';
import type { Constant, Graph } from '../../ir/graph.ts';
import { readRows, type TensorData } from '../../ir/tensor.ts';
import { castData } from '../../ir/views/cast.ts';
import { dequantizedData } from '../../ir/views/dequantize.ts';

/** A weight that a pass stores in another form. */
export interface StoredWeight {
  readonly name: string;
  readonly original: TensorData;
  /** What the new form means, as f32. */
  readonly stored: TensorData;
  /** The most that a row of it may be off, relative to its length. */
  readonly limit: number;
  /** The same as a length: what values err by that are too small for their form. */
  readonly floor: number;
}

/** A row that is further off than its form explains. */
export interface RowDifference {
  readonly name: string;
  readonly row: number;
  readonly relativeL2: number;
  readonly limit: number;
}

/**
 * What rows may be off by in each form. Blocks of 32 codes of 4 bits between the least and the largest of their values
 * are off by 0.38 at most, codes of 8 bits by 0.1 in rows with outliers of 40 times the rest; a float by half a unit,
 * doubled. Rows that are exchanged, left out or turned are off by 1 and more.
 */
const LIMITS = { 4: 0.5, 8: 0.1, f16: 2 ** -10, bf16: 2 ** -7 } as const;
/** The least step of scales that f16 represents, and of values. */
const LEAST = 2 ** -24;

type Weight = Extract<Constant, { kind: 'weight' }>;

/**
 * Weights of a graph that the graph behind a pass has in another form: `w.codes` with `w.scales`, `w.f16`, `w.bf16`.
 */
export function storedWeights(before: Graph, after: Graph): readonly StoredWeight[] {
  const weights = (graph: Graph) =>
    new Map(graph.constants.flatMap((c) => (c.kind === 'weight' ? [[c.value.name, c] as const] : [])));
  const behind = weights(after);
  return [...weights(before).values()].flatMap(
    (weight) => narrowed(weight, behind) ?? coded(weight, behind, after) ?? [],
  );
}

function narrowed({ value: { name }, data }: Weight, behind: ReadonlyMap<string, Weight>): StoredWeight[] | undefined {
  for (const dtype of ['f16', 'bf16'] as const) {
    const found = behind.get(`${name}.${dtype}`);
    if (found)
      return [
        {
          name,
          original: data,
          stored: castData(found.data, 'f32'),
          limit: LIMITS[dtype],
          floor: dtype === 'f16' ? LEAST : 0,
        },
      ];
  }
  return undefined;
}

function coded(
  { value: { name }, data }: Weight,
  behind: ReadonlyMap<string, Weight>,
  after: Graph,
): StoredWeight[] | undefined {
  const [codes, scales, zeros] = ['codes', 'scales', 'zeros'].map((part) => behind.get(`${name}.${part}`));
  if (!codes || !scales) return undefined;
  const reader = after.nodes.find((node) => node.inputs.includes(codes.value));
  if (!reader || !('format' in reader.attrs)) return undefined;
  const format: FormatName = reader.attrs.format;
  const bits = codes.data.dtype.endsWith('4') ? 4 : 8;
  const matrix = { format, q: codes.data, scales: scales.data, ...(zeros && { zeros: zeros.data }) };
  return [
    {
      name,
      original: data,
      stored: castData(dequantizedData(matrix, data.shape), 'f32'),
      limit: LIMITS[bits],
      floor: 2 ** bits * LEAST,
    },
  ];
}

/** The graph as it was, with what the new forms of its weights mean in their place. */
export function withStored(graph: Graph, stored: readonly StoredWeight[]): Graph {
  const data = new Map(stored.map((weight) => [weight.name, weight.stored]));
  const constants = graph.constants.map((constant) =>
    constant.kind === 'weight' && data.has(constant.value.name)
      ? { ...constant, data: data.get(constant.value.name)! }
      : constant,
  );
  return { ...graph, constants };
}

/** Elements that are decoded at once. */
const ELEMENTS = 2 ** 20;

/** The first row of a weight that is further off than its form explains. */
export async function differingRow({
  name,
  original,
  stored,
  limit,
  floor,
}: StoredWeight): Promise<RowDifference | undefined> {
  const [rows, ...rest] = original.shape as readonly [number, ...number[]];
  const width = rest.reduce((product, size) => product * size, 1);
  const step = Math.max(1, Math.floor(ELEMENTS / width));
  for (let first = 0; first < rows; first += step) {
    const end = Math.min(rows, first + step);
    const [a, b] = await Promise.all([readRows(stored, first, end), readRows(original, first, end)]);
    for (let row = first; row < end; row++) {
      let [gap, size] = [0, 0];
      for (let i = (row - first) * width; i < (row - first + 1) * width; i++) {
        const [x, y] = [a.data[i]!, b.data[i]!];
        if (Object.is(x, y)) continue;
        gap += (x - y) ** 2;
        size += y * y;
      }
      const most = limit * Math.sqrt(size) + floor * Math.sqrt(width);
      if (!(Math.sqrt(gap) <= most)) return { name, row, relativeL2: Math.sqrt(gap / size), limit };
    }
  }
  return undefined;
}
