import type { TensorData } from '../../../ir/tensor.ts';
import { castData } from '../../../ir/views/cast.ts';
import { concatRows } from '../../../ir/views/concat.ts';
import { contentKey } from '../../../ir/views/content.ts';
import type { StoredWeight } from '../../weight_chunks.ts';
import { matrixVectors, type MatrixForm } from '../kernels/matrix_form.ts';
import { rowsOf, sameForm, type MatrixSource } from './matrix_source.ts';
import { packMatrix, type MatrixParts } from './pack_matrix.ts';
import { ropeTable } from './rope_table.ts';

/** Rows of a matrix in a range that may hold further ones. */
export interface Placement {
  readonly range: number;
  readonly form: MatrixForm;
  readonly columns: number;
  /** Rows of the range. */
  readonly outputs: number;
  /** Where the rows begin in the range. */
  readonly first: number;
  readonly count: number;
}

/** Rows of a shard begin at multiples of this, and 4-bit zero points at whole bytes. */
const ROW_ALIGNMENT = 64;

/**
 * What lies in the shards: equal weights once, whichever graphs read them. No range is larger than what a kernel may
 * bind.
 */
export class WeightStore {
  readonly #limit: number;
  readonly #ranges: StoredWeight[] = [];
  readonly #byKey = new Map<string, number>();
  readonly #matrices = new Map<string, readonly Placement[]>();
  /** How many ranges were given a name. */
  readonly #named = new Map<string, number>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get ranges(): readonly StoredWeight[] {
    return this.#ranges;
  }

  /** Elements as f32, C order, for biases, norms and operands of elementwise ops. */
  vector(name: string, data: TensorData): number {
    return this.#range(`f32 ${contentKey(data)}`, name, () => castData(data, 'f32'));
  }

  /** Whole numbers and bools as 32 bits each. */
  integers(name: string, data: TensorData): number {
    return this.#range(`i32 ${contentKey(data)}`, name, () => castData(data, 'i32'));
  }

  /** cos[P, H/2] and sin[P, H/2] as one table [P, H]. */
  rope(name: string, cos: TensorData, sin: TensorData): number {
    return this.#range(`rope ${contentKey(cos)} ${contentKey(sin)}`, name, () => ropeTable(cos, sin));
  }

  /**
   * Lets matrices that read one vector lie behind each other, so that one binding holds them all. Those of other forms,
   * those that lie elsewhere already and what would be too large stay apart.
   */
  join(matrices: readonly MatrixSource[]): void {
    const left = matrices.filter((matrix) => !this.#matrices.has(matrix.key));
    while (left.length > 0) {
      const [first] = left as [MatrixSource];
      const joined: MatrixSource[] = [];
      let rows = 0;
      for (const matrix of [...left]) {
        const fits =
          sameForm(matrix.form, first.form) &&
          matrix.columns === first.columns &&
          bytesOf(first.form, rows + matrix.rows, first.columns) <= this.#limit;
        if (!fits || joined.some((other) => other.key === matrix.key)) continue;
        joined.push(matrix);
        rows += matrix.rows;
      }
      for (const matrix of joined.length > 0 ? joined : [first]) left.splice(left.indexOf(matrix), 1);
      if (joined.length > 1) this.#placeJoined(joined, rows);
      else this.place(first);
    }
  }

  /** Whether a matrix lies in one range. */
  fits({ form, rows, columns }: MatrixSource): boolean {
    return bytesOf(form, rows, columns) <= this.#limit;
  }

  /** Where a matrix lies: in one range, or cut along its rows into several. */
  place(matrix: MatrixSource): readonly Placement[] {
    const known = this.#matrices.get(matrix.key) ?? this.#placeAlone(matrix);
    this.#matrices.set(matrix.key, known);
    return known;
  }

  #placeJoined(matrices: readonly MatrixSource[], outputs: number): void {
    const [{ form, columns }] = matrices as [MatrixSource];
    const range = this.#add(
      matrices.map((matrix) => matrix.name).join('+'),
      packed(
        form,
        columns,
        matrices.map((matrix) => matrix.parts),
      ),
    );
    let first = 0;
    for (const { key, rows: count } of matrices) {
      this.#matrices.set(key, [{ range, form, columns, outputs, first, count }]);
      first += count;
    }
  }

  #placeAlone(matrix: MatrixSource): readonly Placement[] {
    const { form, rows, columns } = matrix;
    const shards = Math.ceil(bytesOf(form, rows, columns) / this.#limit);
    const step = shards === 1 ? rows : this.#shardRows(matrix, shards);
    return Array.from({ length: Math.ceil(rows / step) }, (_, i) => {
      const count = Math.min(step, rows - i * step);
      const part = shards === 1 ? matrix : rowsOf(matrix, i * step, count);
      const range = this.#add(shards === 1 ? matrix.name : `${matrix.name}.${i}`, packed(form, columns, [part.parts]));
      return { range, form, columns, outputs: count, first: 0, count };
    });
  }

  /** Shards of nearly the same size. */
  #shardRows({ form, rows, columns }: MatrixSource, shards: number): number {
    const even = Math.ceil(rows / shards / ROW_ALIGNMENT) * ROW_ALIGNMENT;
    if (bytesOf(form, even, columns) <= this.#limit) return even;
    const rowBytes = bytesOf(form, ROW_ALIGNMENT, columns) / ROW_ALIGNMENT;
    return Math.max(2, Math.floor(this.#limit / rowBytes / 2) * 2 - 2);
  }

  #range(key: string, name: string, make: () => TensorData): number {
    const known = this.#byKey.get(key) ?? this.#add(name, { data: make() });
    this.#byKey.set(key, known);
    return known;
  }

  #add(name: string, stored: Omit<StoredWeight, 'name'>): number {
    // one weight may lie in parts: the rows of a table, and the zeros that fill it up
    const count = (this.#named.get(name) ?? 0) + 1;
    this.#named.set(name, count);
    return this.#ranges.push({ name: count === 1 ? name : `${name}_${count}`, ...stored }) - 1;
  }
}

function bytesOf(form: MatrixForm, rows: number, columns: number): number {
  return 16 * matrixVectors(form, rows, columns);
}

/** A matrix of all parts as kernels read it; floats tell what they were. */
function packed(form: MatrixForm, columns: number, parts: readonly MatrixParts[]): Omit<StoredWeight, 'name'> {
  const floats = parts.flatMap((part) => (part.kind === 'float' ? [part.data] : []));
  return { data: packMatrix(form, columns, parts), ...(floats.length > 0 && { source: concatRows(floats) }) };
}
