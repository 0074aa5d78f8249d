import { RuntimeError } from '../../client/errors.ts';
import type { TablePlan, TableRun } from '../plan.ts';
import { damaged, placeWeights, type PlacedWeight, type TfjsBundle } from './bundle.ts';
import type { PartModel } from './part_model.ts';
import type { Tfjs } from './tfjs.ts';
import { entriesOfFile, entriesOfTensor, type Entries } from './weight_entries.ts';

/** Rows that were looked up last: those of words that come again and again. */
const KEPT_ROWS = 1024;

/**
 * A table whose rows are read when they are asked for. Rows that a head has (a tied embedding) come out of tfjs, which
 * holds them already, others out of the bundle's files.
 */
export class TableRows {
  readonly #tf: Tfjs;
  readonly #bundle: TfjsBundle;
  readonly #plan: TablePlan;
  /** Parts that were loaded, by folder. */
  readonly #models: ReadonlyMap<string, PartModel>;
  readonly #own: ReadonlyMap<string, PlacedWeight>;
  readonly #kept = new Map<number, Promise<Float32Array>>();

  /**
   * @param models may be filled later, before rows are asked for.
   * @throws RuntimeError `damaged` for a weight that is not there, or of another size
   */
  constructor(tf: Tfjs, bundle: TfjsBundle, plan: TablePlan, models: ReadonlyMap<string, PartModel>) {
    this.#tf = tf;
    this.#bundle = bundle;
    this.#plan = plan;
    this.#models = models;
    this.#own = new Map(
      placeWeights(bundle.source, '', plan.weights, bundle.sizes).map((weight) => [weight.spec.name, weight]),
    );
    for (const run of plan.runs) this.#check(run);
  }

  /** f32 [ids, columns]. @throws RuntimeError `bad_input` for an id outside the table, and what reading throws */
  async rows(ids: ArrayLike<number>): Promise<Float32Array> {
    const { columns, rows, ids: name } = this.#plan;
    const wrong = Array.from(ids).find((id) => !Number.isInteger(id) || id < 0 || id >= rows);
    if (wrong !== undefined) throw new RuntimeError('bad_input', `${name} holds ${wrong}`, `ids are 0 to ${rows - 1}`);
    const out = new Float32Array(ids.length * columns);
    await Promise.all(Array.from(ids, async (id, i) => out.set(await this.#row(id), i * columns)));
    return out;
  }

  #row(id: number): Promise<Float32Array> {
    const known = this.#kept.get(id) ?? this.#read(id);
    this.#kept.delete(id);
    this.#kept.set(id, known);
    known.catch(() => this.#kept.delete(id));
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_ROWS) this.#kept.delete(oldest!);
    return known;
  }

  async #read(id: number): Promise<Float32Array> {
    const run = this.#plan.runs.find(({ firstRow, rows }) => id >= firstRow && id < firstRow + rows);
    if (!run) return new Float32Array(this.#plan.columns);
    const row = id - run.firstRow;
    return run.storage.kind === 'float'
      ? Float32Array.from(await this.#entries(run, run.storage.weight, row, 1))
      : this.#dequantized(run, run.storage, row);
  }

  /**
   * (q − zero) · scale, or codebook[q] · scale, block by block; codes lie in 32-bit words, lowest bits first, every row
   * in whole ones.
   */
  async #dequantized(
    run: TableRun,
    { bits, block, codebook, codes, scales, zeros }: Extract<TableRun['storage'], { kind: 'codes' }>,
    row: number,
  ): Promise<Float32Array> {
    const { columns } = this.#plan;
    const blocks = Math.ceil(columns / block);
    // zero points lie in words without regard to rows
    const firstZero = row * blocks;
    const word = Math.floor((firstZero * bits) / 32);
    const [packed, scale, packedZeros] = await Promise.all([
      this.#entries(run, codes, row, 1),
      this.#entries(run, scales, row, 1),
      zeros === undefined
        ? undefined
        : this.#entries(run, zeros, word, Math.ceil(((firstZero + blocks) * bits) / 32) - word),
    ]);
    const code = (from: Entries, at: number) =>
      (from[Math.floor((at * bits) / 8)]! >> ((at * bits) % 8)) & (2 ** bits - 1);
    const skip = firstZero - (word * 32) / bits;
    return Float32Array.from({ length: columns }, (_, i) => {
      const at = Math.floor(i / block);
      const found = code(packed, i);
      if (codebook) return codebook[found]! * scale[at]!;
      return (found - (packedZeros ? code(packedZeros, skip + at) : 2 ** (bits - 1))) * scale[at]!;
    });
  }

  #entries(run: TableRun, name: string, first: number, count: number): Promise<Entries> {
    const weight = this.#weight(run, name)!;
    const tensor = run.folder === undefined ? undefined : this.#models.get(run.folder)?.weight(name);
    return tensor
      ? entriesOfTensor(this.#tf, tensor, weight, first, count)
      : entriesOfFile(this.#bundle.source, weight, first, count);
  }

  /** Whether the weights of a run are there, with as many rows as it says. */
  #check(run: TableRun): void {
    const { rows, folder, storage } = run;
    const byRow = storage.kind === 'float' ? [storage.weight] : [storage.codes, storage.scales];
    for (const name of [
      ...byRow,
      ...(storage.kind === 'codes' && storage.zeros !== undefined ? [storage.zeros] : []),
    ]) {
      const weight = this.#weight(run, name);
      if (!weight || (byRow.includes(name) && weight.spec.shape[0] !== rows))
        throw damaged(
          this.#bundle.source,
          `${rows} rows of ${this.#plan.input} should be in ${folder ?? 'its own files'} under "${name}", and are not there`,
        );
    }
  }

  #weight({ folder }: TableRun, name: string): PlacedWeight | undefined {
    return folder === undefined
      ? this.#own.get(name)
      : this.#bundle.parts.get(folder)?.weights.find(({ spec }) => spec.name === name);
  }
}
