import type { Graph } from '../graph.ts';
import type { Observation } from './observer.ts';

/** Rows that are kept of each value: 128 of 16384 columns are 8 MiB. */
const MOST_ROWS = 128;

/**
 * Inputs of linear layers that chose no codes, by the names of their weights: codes are judged by what they make of
 * them.
 */
export interface HeldOut {
  observe(observation: Observation): void;
  /** f32 [rows, K], spread over all that were seen; undefined for a weight that met none. */
  rowsOf(weight: string): HeldOutRows | undefined;
}

export interface HeldOutRows {
  readonly columns: number;
  readonly rows: readonly Float32Array[];
}

/** Every `stride`-th row of a value, with a stride that doubles when there is no room. */
class SpreadRows {
  readonly rows: Float32Array[] = [];
  #seen = 0;
  #stride = 1;

  add(row: () => Float32Array): void {
    if (this.#seen++ % this.#stride !== 0) return;
    this.rows.push(row());
    if (this.rows.length <= MOST_ROWS) return;
    const kept = this.rows.filter((_, i) => i % 2 === 0);
    this.rows.length = 0;
    this.rows.push(...kept);
    this.#stride *= 2;
  }
}

/** Keeps rows of the inputs of every linear layer whose weight is a constant. */
export function heldOutRows(graphs: readonly Graph[]): HeldOut {
  const values = new Map<string, SpreadRows>();
  const readers = new Map<string, string[]>();
  const columnsOf = new Map<string, number>();
  for (const graph of graphs) {
    const weights = new Set(graph.constants.filter(({ kind }) => kind === 'weight').map(({ value }) => value));
    for (const { op, inputs } of graph.nodes) {
      if (op !== 'linear' || !weights.has(inputs[1]!)) continue;
      const source = `${graph.name} ${inputs[0]!.name}`;
      values.set(source, values.get(source) ?? new SpreadRows());
      const weight = inputs[1]!.name;
      readers.set(weight, [...(readers.get(weight) ?? []), source]);
      columnsOf.set(weight, inputs[0]!.type.shape.at(-1) as number);
    }
  }
  return {
    observe({ graph, value, step, tensor }) {
      const own = step === undefined ? values.get(`${graph} ${value}`) : undefined;
      if (!own) return;
      const columns = tensor.shape.at(-1)!;
      for (let start = 0; start < tensor.data.length; start += columns)
        own.add(() => Float32Array.from(tensor.data.subarray(start, start + columns)));
    },
    rowsOf(weight) {
      const rows = (readers.get(weight) ?? []).flatMap((source) => values.get(source)!.rows);
      return rows.length === 0 ? undefined : { columns: columnsOf.get(weight)!, rows };
    },
  };
}
