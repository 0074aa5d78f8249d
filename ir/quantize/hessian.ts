import type { ValueRows } from '../observe/kept_rows.ts';
import { QuantizeError } from './error.ts';
import type { QuantizeExecutor } from './executor.ts';
import { inOrder } from './in_order.ts';
import { factorHessian as factorPart, type HessianPart } from './kernels/hessian.js';

/**
 * Columns that GPTQ looks at together. Wider matrices are cut into equal parts, and what inputs of one part have to do
 * with those of another is left out: work and memory then grow with K, and not with its square and cube.
 */
const MOST_COLUMNS = 512;
/** Where parts begin and end: with blocks of the usual size. */
const UNIT = 32;

/** What GPTQ needs of XᵀX of a layer's inputs. One serves all matrices with the same input (q, k and v). */
export interface HessianFactor {
  readonly columns: number;
  /** Of columns that follow each other, from `first` on. */
  readonly parts: readonly (HessianPart & { readonly first: number })[];
}

/** Where the parts of a matrix begin, and how many columns they have. */
export function partsOf(columns: number): readonly { readonly first: number; readonly size: number }[] {
  const count = Math.ceil(columns / MOST_COLUMNS);
  const step = Math.ceil(columns / count / UNIT) * UNIT;
  return Array.from({ length: Math.ceil(columns / step) }, (_, i) => ({
    first: i * step,
    size: Math.min(step, columns - i * step),
  }));
}

/**
 * Of H = XᵀX, [K, K] row by row, symmetric.
 * @throws QuantizeError `hessian`: not K², not finite, or not positive definite in spite of damping
 */
export function factorHessian(hessian: ArrayLike<number>, columns: number): HessianFactor {
  if (hessian.length !== columns * columns)
    throw new QuantizeError(
      'hessian',
      `a Hessian of ${hessian.length} numbers for ${columns} columns`,
      'calibrate again with this checkpoint',
    );
  const parts = partsOf(columns).map(({ first, size }) => {
    const own = Float64Array.from(
      { length: size * size },
      (_, i) => hessian[(first + Math.floor(i / size)) * columns + first + (i % size)]!,
    );
    return { first, ...definite(factorPart(own, size)) };
  });
  return { columns, parts };
}

/**
 * Of the inputs themselves: products are made part by part, in the executor's threads, and dropped.
 * @throws QuantizeError `hessian` for inputs that are not finite
 */
export async function factorRows(values: readonly ValueRows[], executor: QuantizeExecutor): Promise<HessianFactor> {
  const { columns } = values[0]!;
  const parts: HessianFactor['parts'][number][] = [];
  const read = async function* () {
    for (const part of partsOf(columns)) yield { ...part, inputs: await columnsOf(values, part) };
  };
  const made = inOrder(read(), executor.width, async ({ first, size, inputs }) => ({
    first,
    ...definite(await executor.factor({ inputs, columns: size })),
  }));
  for await (const part of made) parts.push(part);
  return { columns, parts };
}

/** Columns [first, first + size) of all rows, in memory that threads can share. */
async function columnsOf(
  values: readonly ValueRows[],
  { first, size }: { readonly first: number; readonly size: number },
): Promise<Float32Array> {
  const rows = values.reduce((sum, value) => sum + value.rows, 0);
  const inputs = new Float32Array(new SharedArrayBuffer(4 * rows * size));
  let at = 0;
  for (const value of values)
    for await (const row of value.read()) inputs.set(row.subarray(first, first + size), size * at++);
  return inputs;
}

function definite(part: HessianPart | undefined): HessianPart {
  if (part) return part;
  throw new QuantizeError('hessian', 'a Hessian that is not positive definite', 'calibrate with more inputs');
}
