import { expect, test } from 'vitest';
import { tensorData, tensorOf } from '../tensor.ts';
import { castData } from '../views/cast.ts';
import { concatRows, padRows, zeroData } from '../views/concat.ts';
import { contentKey, rowsBeforeFill } from '../views/content.ts';
import { sliceRows } from '../views/select.ts';
import { quantizeMatrix } from './quantize_matrix.ts';
import { INT4, INT8, type Scheme } from './scheme.ts';

const embed = tensorData(
  tensorOf(
    'bf16',
    [10, 64],
    Array.from({ length: 640 }, (_, i) => Math.sin(i)),
  ),
);
const wide = (data: typeof embed) => castData(data, 'f32');
const keysOf = (data: typeof embed, scheme: Scheme, rows: number) => {
  const { q, scales, zeros } = quantizeMatrix(data, scheme);
  return [q, scales, ...(zeros ? [zeros] : [])].map((part) => contentKey(sliceRows(part, 0, rows)));
};

test.each([INT4, INT8, { ...INT4, floatZero: true }])(
  'codes of rows are known to be equal, whatever is behind them',
  (scheme) => {
    const [head, table] = [wide(sliceRows(embed, 0, 8)), wide(padRows(sliceRows(embed, 0, 8), 12))];
    expect(keysOf(table, scheme, 8)).toEqual(keysOf(head, scheme, 8));
    expect(rowsBeforeFill(quantizeMatrix(table, scheme).scales)).toBe(8);
    const none = zeroData(embed.dtype, [1, ...embed.shape.slice(1)]);
    const within = wide(concatRows([sliceRows(embed, 0, 4), none, sliceRows(embed, 5, 8)]));
    expect(rowsBeforeFill(quantizeMatrix(within, scheme).scales)).toBe(8);
    expect(rowsBeforeFill(quantizeMatrix(padRows(within, 12), scheme).scales)).toBe(8);
  },
);

test('codes of other rows, of other schemes, and those that activations chose are not', () => {
  const head = wide(sliceRows(embed, 0, 8));
  expect(keysOf(wide(sliceRows(embed, 1, 9)), INT8, 8)).not.toEqual(keysOf(head, INT8, 8));
  expect(keysOf(head, { ...INT8, algorithm: 'rtn' }, 8)[1]).not.toBe(keysOf(head, INT8, 8)[1]);
  const guided = () => contentKey(quantizeMatrix(head, INT8, { importance: new Float64Array(64).fill(1) }).q);
  expect(guided()).not.toBe(guided());
});
