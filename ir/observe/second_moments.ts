import type { Graph } from '../graph.ts';
import type { Tensor } from '../tensor.ts';
import type { Observation } from './observer.ts';

/** What goes into linear layers, by the names of their weights. Every row counts alike: run rows without padding. */
export interface SecondMoments {
  observe(observation: Observation): void;
  /** E[x²ₖ] over all rows seen, K values; undefined for a weight that met none. */
  importanceOf(weight: string): Float64Array | undefined;
}

/** Sums over the rows of one value; layers that read the same value share it. */
interface Sums {
  readonly columns: number;
  rows: number;
  readonly squares: Float64Array;
}

/**
 * Collects the second moments of the inputs of every linear layer whose weight is a constant: the weights of an
 * importance-weighted search.
 */
export function secondMoments(graphs: readonly Graph[]): SecondMoments {
  const sums = new Map<string, Map<string, Sums>>();
  const readers = new Map<string, Sums[]>();
  for (const graph of graphs) {
    const weights = new Set(graph.constants.filter(({ kind }) => kind === 'weight').map(({ value }) => value));
    const linears = graph.nodes.filter(({ op, inputs }) => op === 'linear' && weights.has(inputs[1]!));
    const values = new Map<string, Sums>();
    sums.set(graph.name, values);
    for (const source of new Set(linears.map(({ inputs }) => inputs[0]!))) {
      const columns = source.type.shape.at(-1) as number; // the weight has it as a number
      const names = linears.filter(({ inputs }) => inputs[0] === source).map(({ inputs }) => inputs[1]!.name);
      const own: Sums = { columns, rows: 0, squares: new Float64Array(columns) };
      values.set(source.name, own);
      for (const name of new Set(names)) readers.set(name, [...(readers.get(name) ?? []), own]);
    }
  }
  return {
    observe({ graph, value, step, tensor }) {
      const own = step === undefined ? sums.get(graph)?.get(value) : undefined;
      if (own) addRows(own, tensor);
    },
    importanceOf(weight) {
      const all = readers.get(weight) ?? [];
      const rows = all.reduce((total, sums) => total + sums.rows, 0);
      if (rows === 0) return undefined;
      return all[0]!.squares.map((_, k) => all.reduce((total, { squares }) => total + squares[k]!, 0) / rows);
    },
  };
}

function addRows(sums: Sums, { data }: Tensor): void {
  const { columns, squares } = sums;
  for (let start = 0; start < data.length; start += columns) {
    for (let i = 0; i < columns; i++) squares[i] = squares[i]! + data[start + i]! ** 2;
    sums.rows++;
  }
}
