import { describe, expect, it, test } from 'vitest';
import { tensorData } from '../../../ir/tensor.ts';
import { randomTensor } from '../../../ir/testing/random.ts';
import { castData } from '../../../ir/views/cast.ts';
import { floatMatrix, type MatrixSource } from './matrix_source.ts';
import { WeightStore } from './weight_store.ts';

test('equal weights lie once; different ones that are called alike get names of their own', () => {
  const store = new WeightStore(1 << 20);
  const [a, b] = [tensorData(randomTensor('f32', [4], 1)), tensorData(randomTensor('f32', [4], 2))];
  expect([store.vector('w', a), store.vector('other', a), store.vector('w', b)]).toEqual([0, 0, 1]);
  expect(store.ranges.map(({ name }) => name)).toEqual(['w', 'w_2']);
});

/** A matrix of f32 rows of four columns: 16 bytes each. */
function matrix(name: string, rows: number, seed = rows): MatrixSource {
  const data = tensorData(randomTensor('f32', [rows, 4], seed));
  return floatMatrix(name, { data, stored: data }, [rows, 4]);
}

const ROW = 16;

describe('a matrix', () => {
  it('that fits lies in one range, once', () => {
    const store = new WeightStore(100 * ROW);
    const whole = matrix('w', 100);
    expect(store.fits(whole)).toBe(true);
    expect(store.place(whole)).toEqual([
      { range: 0, form: { kind: 'f32' }, columns: 4, outputs: 100, first: 0, count: 100 },
    ]);
    expect(store.place({ ...whole, name: 'again' })).toBe(store.place(whole));
    expect(store.ranges.map(({ name, data }) => [name, data.byteLength])).toEqual([['w', 1600]]);
  });

  it('that does not is cut at multiples of 64 rows, into parts of nearly the same size', () => {
    const store = new WeightStore(200 * ROW);
    const large = matrix('w', 300);
    expect(store.fits(large)).toBe(false);
    expect(store.place(large).map(({ range, count, outputs, first }) => [range, count, outputs, first])).toEqual([
      [0, 192, 192, 0],
      [1, 108, 108, 0],
    ]);
    expect(store.ranges.map(({ name }) => name)).toEqual(['w.0', 'w.1']);
  });

  it('of which 64 rows are too many is cut into even numbers of rows that fit', () => {
    const store = new WeightStore(21 * ROW);
    const counts = store.place(matrix('w', 100)).map(({ count }) => count);
    expect(counts.reduce((sum, count) => sum + count)).toBe(100);
    expect(counts.slice(0, -1).every((count) => count % 2 === 0)).toBe(true);
    expect(store.ranges.every(({ data }) => data.byteLength <= 21 * ROW)).toBe(true);
  });
});

describe('matrices that read one vector', () => {
  const placed = (store: WeightStore, matrices: readonly MatrixSource[]) =>
    matrices.map((one) => store.place(one).map(({ range, first, count, outputs }) => [range, first, count, outputs]));

  it('lie behind each other', () => {
    const store = new WeightStore(100 * ROW);
    const matrices = [matrix('q', 40), matrix('k', 10), matrix('v', 20)];
    store.join(matrices);
    expect(store.ranges.map(({ name }) => name)).toEqual(['q+k+v']);
    expect(placed(store, matrices)).toEqual([[[0, 0, 40, 70]], [[0, 40, 10, 70]], [[0, 50, 20, 70]]]);
  });

  it('stay apart where they would be too large together, and join what is left', () => {
    const store = new WeightStore(100 * ROW);
    const matrices = [matrix('a', 60), matrix('b', 60, 1), matrix('c', 40), matrix('d', 30)];
    store.join(matrices);
    expect(store.ranges.map(({ name }) => name)).toEqual(['a+c', 'b+d']);
    expect(placed(store, matrices)).toEqual([
      [[0, 0, 60, 100]],
      [[1, 0, 60, 90]],
      [[0, 60, 40, 100]],
      [[1, 60, 30, 90]],
    ]);
  });

  it('stay apart where they are of other forms or widths, lie elsewhere already, or are the same', () => {
    const store = new WeightStore(1000 * ROW);
    const half = castData(tensorData(randomTensor('f32', [8, 4], 9)), 'f16');
    const wide = tensorData(randomTensor('f32', [8, 8], 9));
    const known = matrix('known', 5);
    store.place(known);
    const [a, b] = [matrix('a', 10), matrix('b', 12)];
    store.join([
      known,
      a,
      { ...a, name: 'same' },
      floatMatrix('half', { data: half, stored: half }, [8, 4]),
      floatMatrix('wide', { data: wide, stored: wide }, [8, 8]),
      b,
    ]);
    expect(store.ranges.map(({ name }) => name)).toEqual(['known', 'a+b', 'half', 'wide']);
  });
});

it('vectors, whole numbers and tables of angles with equal bytes are not each other', async () => {
  const store = new WeightStore(1 << 20);
  const cos = tensorData(randomTensor('f32', [3, 2], 1));
  const sin = tensorData(randomTensor('f32', [3, 2], 2));
  const ids = [store.rope('r', cos, sin), store.rope('r', sin, cos), store.vector('v', cos), store.integers('i', cos)];
  expect(ids).toEqual([0, 1, 2, 3]);
  expect(store.rope('again', cos, sin)).toBe(0);
  expect(store.integers('again', cos)).toBe(3);
  expect(store.ranges.map(({ data: { dtype } }) => dtype)).toEqual(['f32', 'f32', 'f32', 'i32']);
});
