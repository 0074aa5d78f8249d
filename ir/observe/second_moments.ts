import type { Graph } from '../graph.ts';
import type { Tensor } from '../tensor.ts';
import type { Observer } from './observer.ts';

export interface MomentOptions {
  /**
   * Weights, by name, for which E[xᵢ·xⱼ] is kept beside E[x²ₖ]: K²/2 float64 for each input of K columns. Default none.
   */
  readonly wantsProducts?: (weight: string) => boolean;
  /**
   * Memory for E[xᵢ·xⱼ] in all, default 2 GiB: a 3B's inputs of 2048 columns take 16 MiB each, one of 16384 columns
   * takes 1 GiB.
   */
  readonly maxBytes?: number;
}

/** What goes into linear layers, by the names of their weights. Every row counts alike: run rows without padding. */
export interface SecondMoments {
  readonly observe: Observer;
  /** E[x²ₖ] over all rows seen, K values; undefined for a weight that met none. */
  importanceOf(weight: string): Float64Array | undefined;
  /** E[xᵢ·xⱼ], K × K; undefined when it was not wanted, met no row, or had no room. */
  productsOf(weight: string): Float64Array | undefined;
  /** Weights that were wanted and had no room. */
  readonly withoutRoom: readonly string[];
}

const MAX_BYTES = 2 * 1024 ** 3;

/** Sums over the rows of one value; layers that read the same value share it. */
interface Sums {
  readonly columns: number;
  rows: number;
  readonly squares: Float64Array;
  /** Lower triangle, row by row: K(K + 1)/2. */
  readonly products: Float64Array | undefined;
}

/**
 * Collects the second moments of the inputs of every linear layer whose weight is a constant: the weights of an
 * importance-weighted search (E[x²ₖ]), and half of the Hessian of GPTQ (arXiv:2210.17323).
 */
export function secondMoments(
  graphs: readonly Graph[],
  { wantsProducts = () => false, maxBytes = MAX_BYTES }: MomentOptions = {},
): SecondMoments {
  const sums = new Map<string, Map<string, Sums>>();
  const readers = new Map<string, Sums[]>();
  const withoutRoom = new Set<string>();
  let room = maxBytes;
  for (const graph of graphs) {
    const weights = new Set(graph.constants.filter(({ kind }) => kind === 'weight').map(({ value }) => value));
    const linears = graph.nodes.filter(({ op, inputs }) => op === 'linear' && weights.has(inputs[1]!));
    const values = new Map<string, Sums>();
    sums.set(graph.name, values);
    for (const source of new Set(linears.map(({ inputs }) => inputs[0]!))) {
      const columns = source.type.shape.at(-1) as number; // the weight has it as a number
      const names = linears.filter(({ inputs }) => inputs[0] === source).map(({ inputs }) => inputs[1]!.name);
      const wanted = names.filter(wantsProducts);
      const bytes = columns * (columns + 1) * 4;
      const fits = wanted.length > 0 && bytes <= room;
      if (fits) room -= bytes;
      else for (const name of wanted) withoutRoom.add(name);
      const own: Sums = {
        columns,
        rows: 0,
        squares: new Float64Array(columns),
        products: fits ? new Float64Array(bytes / 8) : undefined,
      };
      values.set(source.name, own);
      for (const name of new Set(names)) readers.set(name, [...(readers.get(name) ?? []), own]);
    }
  }
  return {
    observe({ graph, value, step, tensor }) {
      const own = step === undefined ? sums.get(graph)?.get(value) : undefined;
      if (own) addRows(own, tensor);
    },
    importanceOf: (weight) => mean(readers.get(weight) ?? [], ({ squares }) => squares),
    productsOf(weight) {
      const all = readers.get(weight) ?? [];
      const triangle = all.every(({ products }) => products) ? mean(all, ({ products }) => products!) : undefined;
      return triangle && mirrored(triangle, all[0]!.columns);
    },
    get withoutRoom() {
      return [...withoutRoom];
    },
  };
}

function addRows(sums: Sums, { data }: Tensor): void {
  const { columns, squares, products } = sums;
  for (let start = 0; start < data.length; start += columns) {
    for (let i = 0; i < columns; i++) squares[i] = squares[i]! + data[start + i]! ** 2;
    if (products)
      for (let i = 0, at = 0; i < columns; i++) {
        const x = data[start + i]!;
        if (x === 0) at += i + 1;
        else for (let j = 0; j <= i; j++, at++) products[at] = products[at]! + x * data[start + j]!;
      }
    sums.rows++;
  }
}

function mean(all: readonly Sums[], valuesOf: (sums: Sums) => Float64Array): Float64Array | undefined {
  const rows = all.reduce((total, sums) => total + sums.rows, 0);
  if (rows === 0) return undefined;
  return valuesOf(all[0]!).map((_, i) => all.reduce((total, sums) => total + valuesOf(sums)[i]!, 0) / rows);
}

function mirrored(triangle: Float64Array, size: number): Float64Array {
  const full = new Float64Array(size * size);
  for (let i = 0, at = 0; i < size; i++)
    for (let j = 0; j <= i; j++, at++) {
      full[i * size + j] = triangle[at]!;
      full[j * size + i] = triangle[at]!;
    }
  return full;
}
