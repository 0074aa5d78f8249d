import { expect, test } from 'vitest';
import { randomSource } from '../../../ir/random_source.ts';
import type { ValueRows } from '../../../ir/observe/kept_rows.ts';
import { quantizeMatrix } from '../../../ir/quantize/quantize_matrix.ts';
import { INT4 } from '../../../ir/quantize/scheme.ts';
import type { QuantizedMatrix } from '../../../ir/quantize/lazy_matrix.ts';
import { readTensor } from '../../../ir/tensor.ts';
import { descendedCodes } from './descended_codes.ts';
import { exhaustiveCodes } from './exhaustive_codes.ts';
import { matrixOf } from './coded_matrix.ts';

const [ROWS, COLUMNS] = [6, 80];
const next = randomSource(7);
const normal = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
const weights = Float32Array.from({ length: ROWS * COLUMNS }, normal);
const matrix = matrixOf(weights, COLUMNS);

/** Weights that codes mean. */
async function meant({ q, scales, zeros }: QuantizedMatrix): Promise<Float64Array> {
  const [codes, steps, middles] = await Promise.all(
    [q, scales, zeros!].map(async (data) => (await readTensor(data)).data),
  );
  const blocks = scales.shape[1]!;
  return Float64Array.from(weights, (_, i) => {
    const [row, column] = [Math.floor(i / COLUMNS), i % COLUMNS];
    const own = row * blocks + Math.floor(column / INT4.block);
    return (codes![own * INT4.block + (column % INT4.block)]! - middles![own]!) * steps![own]!;
  });
}

const squares = (values: Float64Array) => weights.reduce((sum, w, i) => sum + (w - values[i]!) ** 2, 0);

test('all scales and zero points leave what they say, and no more than the search', async () => {
  const errors = { usual: 0, best: 0 };
  const found = squares(await meant(exhaustiveCodes(matrix, INT4, false, errors)));
  expect(found).toBeCloseTo(errors.best, 4);
  expect(squares(await meant(quantizeMatrix(matrix, INT4)))).toBeCloseTo(errors.usual, 4);
  expect(found).toBeLessThan(errors.usual);
});

test('codes that are moved on leave less of a layer’s output', async () => {
  // inputs that hang together: what one column errs another can make good
  const inputs = Array.from({ length: 200 }, () => {
    const common = normal();
    return Float32Array.from({ length: COLUMNS }, () => common + 0.3 * normal());
  });
  const values: ValueRows = {
    columns: COLUMNS,
    rows: inputs.length,
    async *read() {
      yield* inputs;
    },
  };
  const errors = { before: 0, after: 0 };
  const usual = quantizeMatrix(matrix, INT4);
  const outputError = (values_: Float64Array) =>
    inputs.reduce((sum, x) => {
      for (let row = 0; row < ROWS; row++) {
        const at = row * COLUMNS;
        sum += x.reduce((dot, xi, i) => dot + xi * (weights[at + i]! - values_[at + i]!), 0) ** 2;
      }
      return sum;
    }, 0);
  const [before, after] = [await meant(usual), await meant(descendedCodes(matrix, usual, [values], errors))];
  expect(outputError(after)).toBeLessThan(0.5 * outputError(before));
  expect(errors.after / errors.before).toBeLessThan(0.5);
});
