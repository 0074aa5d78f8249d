import type { TensorData } from '../../../ir/tensor.ts';
import { changedRows, matrixShape, readFloats, rowBlocks, type RowTransform } from './f32_rows.ts';
import { addLowRank, LeftRows, readRight, requireFinite, type FinishRow, type LowRank } from './low_rank.ts';

/**
 * W + scaling·L·R in f32, computed while it is read: L and R are held only as long as that. (LoRA, arXiv:2106.09685;
 * PEFT's `Linear.merge`, with sums in f64 where PEFT's are in f32.)
 */
export function mergedLora(base: TensorData, factors: LowRank): TensorData {
  return changedRows(base, factors.left.from, (begin, end) => adding(factors, end));
}

/**
 * The DoRA of a linear layer or a convolution: each output's row of V = W + scaling·L·R, made as long as its magnitude
 * says, m · V / ‖V‖ (arXiv:2402.09353, eq. 5; PEFT's `DoraLinearVariant.merge`: the scaling counts in the norm too). A
 * row of zeros has no direction: PEFT makes it NaN, here it stays zero.
 */
export function mergedDora(base: TensorData, factors: LowRank, magnitude: TensorData): TensorData {
  return changedRows(base, factors.left.from, async (begin, end) => {
    const lengths = await readFloats(magnitude, begin, end);
    requireFinite(lengths, magnitude);
    return adding(factors, end, (row, sums) => {
      let squares = 0;
      for (const x of sums) squares += x * x;
      const factor = squares === 0 ? 0 : lengths[row - begin]! / Math.sqrt(squares);
      for (let i = 0; i < sums.length; i++) sums[i]! *= factor;
    });
  });
}

/**
 * The DoRA of an embedding: there the magnitude is one per column, over all tokens (PEFT's `DoraEmbeddingVariant`). The
 * norms take a pass of their own over the table, once.
 */
export function mergedEmbeddingDora(base: TensorData, factors: LowRank, magnitude: TensorData): TensorData {
  let columnFactors: Promise<Float64Array> | undefined;
  const measure = async (): Promise<Float64Array> => {
    const { rows, columns } = matrixShape(base);
    const lengths = await readFloats(magnitude);
    requireFinite(lengths, magnitude);
    const squares = new Float64Array(columns);
    const add = await adding(factors, rows, (_, sums) => {
      for (let i = 0; i < columns; i++) squares[i]! += sums[i]! * sums[i]!;
    });
    for await (const block of rowBlocks(base, 0, rows)) await add(block);
    return squares.map((square, i) => (square === 0 ? 0 : lengths[i]! / Math.sqrt(square)));
  };
  return changedRows(base, factors.left.from, async (begin, end) => {
    columnFactors ??= measure();
    const scales = await columnFactors;
    return adding(factors, end, (_, sums) => {
      for (let i = 0; i < sums.length; i++) sums[i]! *= scales[i]!;
    });
  });
}

/** Adds scaling·L·R to rows before `end`. */
async function adding(factors: LowRank, end: number, finish?: FinishRow): Promise<RowTransform> {
  const right = await readRight(factors);
  const left = new LeftRows(factors, end);
  return async (block) =>
    addLowRank(block, await left.rows(block.firstRow, block.firstRow + block.rows), right, factors, finish);
}

/** A table of which the rows with these ids are others: `rows` [ids, columns], in the order of the ids. */
export function replacedRows(base: TensorData, ids: readonly number[], rows: TensorData): TensorData {
  const { columns } = matrixShape(base);
  return changedRows(base, rows.from, async (begin, end) => {
    const within = ids.flatMap((row, i) => (row >= begin && row < end ? [[row, i] as const] : []));
    const values = new Map<number, Float32Array>();
    for (const [row, i] of within) values.set(row, await readFloats(rows, i * columns, (i + 1) * columns));
    return async ({ firstRow, rows: count, values: block }) => {
      for (const [row, value] of values)
        if (row >= firstRow && row < firstRow + count) block.set(value, (row - firstRow) * columns);
    };
  });
}

/** W + scaling·b for a vector: the bias of lora_B (PEFT's `lora_bias`). */
export function addedBias(base: TensorData, bias: TensorData, scaling: number): TensorData {
  return changedRows(base, bias.from, async (begin, end) => {
    const added = await readFloats(bias, begin, end);
    return async ({ firstRow, rows, values }) => {
      for (let i = 0; i < rows; i++) values[i]! += scaling * added[firstRow - begin + i]!;
    };
  });
}

/**
 * ‖after − before‖ and that as a part of ‖before‖, in one pass over both. Where the base is not finite nothing is
 * counted.
 * @throws BadInputError when `checked`, a tensor of an adapter, is not finite.
 */
export async function measuredChange(
  before: TensorData,
  after: TensorData,
  checked: boolean,
): Promise<{ norm: number; relative: number }> {
  const { rows } = matrixShape(before);
  const others = rowBlocks(after, 0, rows);
  let difference = 0;
  let whole = 0;
  for await (const { values } of rowBlocks(before, 0, rows)) {
    const next = await others.next();
    if (next.done) throw new RangeError('the tensors differ in size');
    if (checked) requireFinite(next.value.values, after);
    for (let i = 0; i < values.length; i++) {
      const x = values[i]!;
      const d = next.value.values[i]! - x;
      if (!Number.isFinite(d)) continue;
      difference += d * d;
      whole += x * x;
    }
  }
  await others.return(undefined);
  return { norm: Math.sqrt(difference), relative: whole === 0 ? 0 : Math.sqrt(difference / whole) };
}
