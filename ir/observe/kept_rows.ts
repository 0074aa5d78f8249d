import type { Graph } from '../graph.ts';
import { randomSource } from '../random_source.ts';
import type { Observation } from './observer.ts';

/** Room for bytes that memory has none for, as a file has. */
export interface Scratch {
  /** The offset of `byteLength` bytes of its own. */
  reserve(byteLength: number): number;
  write(bytes: Uint8Array, offset: number): Promise<void>;
  chunks(begin: number, end: number): AsyncIterable<Uint8Array>;
}

/** What is kept of each value: 1024 rows of 2048 columns, and more of narrower ones. */
const MOST_BYTES = 8 * 1024 * 1024;
/** Rows that are kept however wide they are. */
const ROWS = 1024;

/** Inputs of linear layers, by the names of their weights, in a scratch file: a 3B's take some GB. */
export interface KeptRows {
  /** To be waited for before the next: what is not written yet lies in memory. */
  observe(observation: Observation): Promise<void> | undefined;
  /** Undefined for a weight that met none. */
  rowsOf(weight: string): readonly ValueRows[] | undefined;
}

/** Rows of one value; layers that read the same value share it. */
export interface ValueRows {
  readonly columns: number;
  /** How many there are. */
  readonly rows: number;
  /** Row by row. */
  read(): AsyncGenerator<Float32Array>;
}

/** Keeps rows of the inputs of every linear layer whose weight is a constant: of many an even choice (a reservoir). */
export function keptRows(graphs: readonly Graph[], scratch: Scratch): KeptRows {
  const values = new Map<string, Reservoir>();
  const readers = new Map<string, Set<Reservoir>>();
  for (const graph of graphs) {
    const weights = new Set(graph.constants.filter(({ kind }) => kind === 'weight').map(({ value }) => value));
    for (const { op, inputs } of graph.nodes) {
      if (op !== 'linear' || !weights.has(inputs[1]!)) continue;
      const [source, weight] = inputs as [(typeof inputs)[0], (typeof inputs)[0]];
      const name = `${graph.name} ${source.name}`;
      const own = values.get(name) ?? new Reservoir(source.type.shape.at(-1) as number, scratch);
      values.set(name, own);
      readers.set(weight.name, (readers.get(weight.name) ?? new Set()).add(own));
    }
  }
  return {
    observe: ({ graph, value, step, tensor }) =>
      step === undefined ? values.get(`${graph} ${value}`)?.add(tensor.data) : undefined,
    rowsOf(weight) {
      const met = [...(readers.get(weight) ?? [])].filter(({ rows }) => rows > 0);
      return met.length === 0 ? undefined : met;
    },
  };
}

class Reservoir implements ValueRows {
  readonly columns: number;
  readonly #most: number;
  readonly #scratch: Scratch;
  readonly #random = randomSource(1);
  #offset: number | undefined;
  #seen = 0;

  constructor(columns: number, scratch: Scratch) {
    this.columns = columns;
    this.#scratch = scratch;
    this.#most = Math.max(ROWS, Math.floor(MOST_BYTES / (4 * columns)));
  }

  get rows(): number {
    return Math.min(this.#seen, this.#most);
  }

  async add(data: ArrayLike<number> & { subarray(from: number, to: number): ArrayLike<number> }): Promise<void> {
    const { columns } = this;
    this.#offset ??= this.#scratch.reserve(4 * columns * this.#most);
    const count = data.length / columns;
    const fill = Math.min(count, this.#most - this.rows);
    if (fill > 0) await this.#write(data.subarray(0, fill * columns), this.rows);
    this.#seen += fill;
    for (let row = fill; row < count; row++) {
      const place = Math.floor(this.#random() * ++this.#seen);
      if (place < this.#most) await this.#write(data.subarray(row * columns, (row + 1) * columns), place);
    }
  }

  async *read(): AsyncGenerator<Float32Array> {
    const rowBytes = 4 * this.columns;
    let row = new Uint8Array(rowBytes);
    let filled = 0;
    for await (const chunk of this.#scratch.chunks(this.#offset!, this.#offset! + this.rows * rowBytes))
      for (let at = 0; at < chunk.byteLength;) {
        const part = chunk.subarray(at, at + rowBytes - filled);
        row.set(part, filled);
        filled += part.byteLength;
        at += part.byteLength;
        if (filled < rowBytes) continue;
        yield new Float32Array(row.buffer);
        row = new Uint8Array(rowBytes);
        filled = 0;
      }
  }

  #write(values: ArrayLike<number>, place: number): Promise<void> {
    const bytes = new Uint8Array(Float32Array.from(values).buffer);
    return this.#scratch.write(bytes, this.#offset! + 4 * this.columns * place);
  }
}
