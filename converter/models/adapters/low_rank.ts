import type { TensorData } from '../../../ir/tensor.ts';
import { BadInputError } from '../../errors.ts';
import { readFloats, type RowBlock } from './f32_rows.ts';

/** Elements of the left factor that are read at once: blocks of few rows would cost a read of the file each. */
const LEFT_ELEMENTS = 1 << 18;

/**
 * scaling · L·R, the change of a weight [rows, columns]. For a linear layer L is lora_B [out, r] and R is lora_A [r,
 * in]; an embedding stores both transposed: L is lora_embedding_Aᵀ of [r, tokens], R is lora_embedding_Bᵀ of [width,
 * r].
 */
export interface LowRank {
  readonly rank: number;
  readonly scaling: number;
  /** Of the weight. L may have fewer rows, which then count as zero, or more, which are not used. */
  readonly rows: number;
  readonly columns: number;
  readonly left: TensorData;
  readonly right: TensorData;
  /** Whether both are stored transposed. */
  readonly transposed: boolean;
}

/** R as [rank, columns]. */
export async function readRight({ right, rank, columns, transposed }: LowRank): Promise<Float32Array> {
  const stored = await readFloats(right);
  return transposed ? transposedFloats(stored, columns, rank) : stored;
}

/** Reads L by rows, [rows, rank] each time; keeps one block of them. */
export class LeftRows {
  readonly #factors: LowRank;
  readonly #last: number;
  /** Rows that L itself has. */
  readonly #stored: number;
  #first = 0;
  #held = new Float32Array(0);

  /** @param last one past the last row that will be asked for */
  constructor(factors: LowRank, last: number) {
    this.#factors = factors;
    this.#last = last;
    this.#stored = factors.left.shape[factors.transposed ? 1 : 0]!;
  }

  async rows(begin: number, end: number): Promise<Float32Array> {
    const { rank } = this.#factors;
    if (begin < this.#first || end * rank > this.#first * rank + this.#held.length) {
      const until = Math.min(this.#last, Math.max(end, begin + Math.ceil(LEFT_ELEMENTS / rank)));
      this.#held = await this.#read(begin, until);
      this.#first = begin;
    }
    return this.#held.subarray((begin - this.#first) * rank, (end - this.#first) * rank);
  }

  async #read(begin: number, end: number): Promise<Float32Array<ArrayBuffer>> {
    const { left, rank, transposed } = this.#factors;
    const out = new Float32Array((end - begin) * rank);
    const [from, to] = [Math.min(begin, this.#stored), Math.min(end, this.#stored)];
    if (!transposed) out.set(await readFloats(left, from * rank, to * rank));
    else
      for (let k = 0; k < rank; k++) {
        const column = await readFloats(left, k * this.#stored + from, k * this.#stored + to);
        for (let i = 0, at = k; i < column.length; i++, at += rank) out[at] = column[i]!;
      }
    return out;
  }
}

/** What becomes of a row of W + scaling·L·R, in f64, before it is rounded. */
export type FinishRow = (row: number, sums: Float64Array) => void;

/** Adds scaling·L·R to whole rows of W: sums in f64, so that f32 rounds once. */
export function addLowRank(
  { rows, values, firstRow }: RowBlock,
  left: Float32Array,
  right: Float32Array,
  { rank, scaling, columns }: LowRank,
  finish?: FinishRow,
): void {
  const sums = new Float64Array(columns);
  for (let row = 0; row < rows; row++) {
    const target = values.subarray(row * columns, (row + 1) * columns);
    sums.set(target);
    let k = 0;
    for (; k + 4 <= rank; k += 4)
      addFour(
        sums,
        right,
        k * columns,
        scaling * left[row * rank + k]!,
        scaling * left[row * rank + k + 1]!,
        scaling * left[row * rank + k + 2]!,
        scaling * left[row * rank + k + 3]!,
      );
    for (; k < rank; k++) addOne(sums, right, k * columns, scaling * left[row * rank + k]!);
    finish?.(firstRow + row, sums);
    target.set(sums);
  }
}

/** Four rows of R at once: the sums are then read and written a quarter as often. */
function addFour(
  sums: Float64Array,
  right: Float32Array,
  at: number,
  a: number,
  b: number,
  c: number,
  d: number,
): void {
  const n = sums.length;
  for (let i = 0, p = at, q = at + n, r = at + 2 * n, s = at + 3 * n; i < n; i++)
    sums[i]! += a * right[p + i]! + b * right[q + i]! + c * right[r + i]! + d * right[s + i]!;
}

function addOne(sums: Float64Array, right: Float32Array, at: number, a: number): void {
  for (let i = 0; i < sums.length; i++) sums[i]! += a * right[at + i]!;
}

/**
 * Frobenius norm of scaling·L·R without making it: ‖L·R‖² = Σ (LᵀL)∘(R·Rᵀ), both [rank, rank]. Reads each factor once.
 * @throws BadInputError when a factor is not finite.
 */
export async function lowRankNorm(factors: LowRank): Promise<number> {
  const { rank, rows, columns, scaling } = factors;
  const right = await readRight(factors);
  requireFinite(right, factors.right);
  const ofRight = new Float64Array(rank * rank);
  for (let i = 0; i < rank; i++)
    for (let j = 0; j <= i; j++) ofRight[i * rank + j] = dot(right, i * columns, j * columns, columns);
  const ofLeft = new Float64Array(rank * rank);
  const reader = new LeftRows(factors, rows);
  const step = Math.ceil(LEFT_ELEMENTS / rank);
  for (let row = 0; row < rows; row += step) {
    const count = Math.min(step, rows - row);
    const block = await reader.rows(row, row + count);
    requireFinite(block, factors.left);
    const lanes = transposedFloats(block, count, rank); // dot products over neighbours are several times faster
    for (let i = 0; i < rank; i++)
      for (let j = 0; j <= i; j++) ofLeft[i * rank + j]! += dot(lanes, i * count, j * count, count);
  }
  let sum = 0;
  for (let i = 0; i < rank; i++)
    for (let j = 0; j <= i; j++) sum += (i === j ? 1 : 2) * ofLeft[i * rank + j]! * ofRight[i * rank + j]!;
  return Math.abs(scaling) * Math.sqrt(Math.max(sum, 0));
}

function dot(values: Float32Array, a: number, b: number, length: number): number {
  let even = 0;
  let odd = 0;
  let i = 0;
  for (; i + 2 <= length; i += 2) {
    even += values[a + i]! * values[b + i]!;
    odd += values[a + i + 1]! * values[b + i + 1]!;
  }
  return i < length ? even + odd + values[a + i]! * values[b + i]! : even + odd;
}

/** [rows, columns] as [columns, rows]. */
function transposedFloats(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = values[r * columns + c]!;
  return out;
}

/**
 * @throws BadInputError naming the adapter's tensor that holds NaN or infinity: a merge would spread it over the whole
 * weight.
 */
export function requireFinite(values: Float32Array, { from }: TensorData): void {
  for (let i = 0; i < values.length; i++)
    if (!Number.isFinite(values[i]!))
      throw new BadInputError('adapter_not_finite', `"${from?.key ?? '?'}" holds ${values[i]}`, {
        ...(from && { file: from.file, tensor: from.key, offset: from.byteOffset }),
        hint: 'the training broke down or the file is damaged: take an earlier checkpoint of the adapter',
      });
}
