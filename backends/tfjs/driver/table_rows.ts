import { RuntimeError } from '../../client/errors.ts';
import type { TablePlan, TableRun } from '../plan.ts';
import { damaged, placeWeights, type PlacedWeight, type TfjsBundle } from './bundle.ts';

/** Rows that were looked up last: those of words that come again and again. */
const KEPT_ROWS = 1024;

/** A table in the files of a bundle: rows are read when they are asked for. */
export class TableRows {
  readonly #bundle: TfjsBundle;
  readonly #plan: TablePlan;
  readonly #own: ReadonlyMap<string, PlacedWeight>;
  readonly #kept = new Map<number, Promise<Float32Array>>();

  constructor(bundle: TfjsBundle, plan: TablePlan) {
    this.#bundle = bundle;
    this.#plan = plan;
    this.#own = new Map(placeWeights(bundle.source, '', plan.weights, bundle.sizes).map((weight) => [weight.spec.name, weight]));
  }

  /** f32 [ids, columns]. @throws RuntimeError `bad_input` for an id outside the table, and what reading throws */
  async rows(ids: ArrayLike<number>, signal?: AbortSignal): Promise<Float32Array> {
    const { columns, rows, ids: name } = this.#plan;
    const wrong = Array.from(ids).find((id) => !Number.isInteger(id) || id < 0 || id >= rows);
    if (wrong !== undefined) throw new RuntimeError('bad_input', `${name} holds ${wrong}`, `ids are 0 to ${rows - 1}`);
    const out = new Float32Array(ids.length * columns);
    await Promise.all(Array.from(ids, async (id, i) => out.set(await this.#row(id, signal), i * columns)));
    return out;
  }

  #row(id: number, signal?: AbortSignal): Promise<Float32Array> {
    const known = this.#kept.get(id) ?? this.#read(id, signal);
    this.#kept.delete(id);
    this.#kept.set(id, known);
    known.catch(() => this.#kept.delete(id));
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > KEPT_ROWS) this.#kept.delete(oldest!);
    return known;
  }

  async #read(id: number, signal?: AbortSignal): Promise<Float32Array> {
    const run = this.#plan.runs.find(({ firstRow, rows }) => id >= firstRow && id < firstRow + rows);
    if (!run) return new Float32Array(this.#plan.columns);
    const row = id - run.firstRow;
    return run.storage.kind === 'float' ? this.#floats(run, run.storage.weight, row, signal) : this.#dequantized(run, run.storage, row, signal);
  }

  async #floats(run: TableRun, name: string, row: number, signal?: AbortSignal): Promise<Float32Array> {
    const weight = this.#weight(run, name);
    const bytes = await this.#bytes(weight, row * (weight.byteLength / run.rows), weight.byteLength / run.rows, signal);
    return weight.spec.quantization?.dtype === 'float16' ? halves(bytes) : new Float32Array(bytes.buffer);
  }

  /** (q − zero) · scale, block by block; codes lie in 32-bit words, lowest bits first, every row in whole ones. */
  async #dequantized(run: TableRun, { bits, block, codes, scales, zeros }: Extract<TableRun['storage'], { kind: 'codes' }>, row: number, signal?: AbortSignal): Promise<Float32Array> {
    const rowBytes = this.#weight(run, codes).byteLength / run.rows;
    const blocks = Math.ceil(this.#plan.columns / block);
    const [words, scaleRow, zeroRow] = await Promise.all([
      this.#bytes(this.#weight(run, codes), row * rowBytes, rowBytes, signal),
      this.#floats(run, scales, row, signal),
      zeros === undefined ? undefined : this.#bytes(this.#weight(run, zeros), Math.floor((row * blocks * bits) / 8), Math.floor(((row + 1) * blocks * bits - 1) / 8) - Math.floor((row * blocks * bits) / 8) + 1, signal),
    ]);
    const perByte = 8 / bits;
    const mask = 2 ** bits - 1;
    const code = (bytes: Uint8Array, at: number) => (bytes[Math.floor(at / perByte)]! >> (bits * (at % perByte))) & mask;
    // the first zero point of the row may begin within a byte
    const skip = (row * blocks) % perByte;
    return Float32Array.from({ length: this.#plan.columns }, (_, i) => {
      const at = Math.floor(i / block);
      const zero = zeroRow ? code(zeroRow, skip + at) : 2 ** (bits - 1);
      return (code(words, i) - zero) * scaleRow[at]!;
    });
  }

  #weight({ folder }: TableRun, name: string): PlacedWeight {
    const found = folder === undefined ? this.#own.get(name) : this.#bundle.parts.get(folder)?.weights.find(({ spec }) => spec.name === name);
    if (!found) throw damaged(this.#bundle.source, `rows of ${this.#plan.input} are in ${folder ?? 'its own files'} under "${name}", which is not there`);
    return found;
  }

  #bytes({ file, offset }: PlacedWeight, begin: number, length: number, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    return this.#bundle.source.readRange(file, offset + begin, offset + begin + length, signal);
  }
}

/** Floats of binary16. */
function halves(bytes: Uint8Array): Float32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Float32Array.from({ length: bytes.byteLength / 2 }, (_, i) => half(view.getUint16(2 * i, true)));
}

/** Node 20 has no DataView.getFloat16. */
function half(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return exponent === 31 ? (fraction === 0 ? sign * Infinity : Number.NaN) : sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
