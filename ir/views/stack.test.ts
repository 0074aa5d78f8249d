import { expect, test } from 'vitest';
import { bytesData, readBytes, readTensor, tensorData, tensorOf, type TensorData } from '../tensor.ts';
import { castData } from './cast.ts';
import { reshapeData, selectRow, sliceRows } from './select.ts';
import { stackData } from './stack.ts';
import { transposeData } from './transpose.ts';

const part = (first: number, key: string): TensorData => ({
  ...tensorData(
    tensorOf(
      'f32',
      [2, 3],
      Float32Array.from({ length: 6 }, (_, i) => first + i),
    ),
  ),
  from: { file: 'a.npz', key, byteOffset: first },
});
const parts = [part(0, 'layer_0'), part(10, 'layer_1'), part(20, 'layer_2')];
const valuesOf = async (data: TensorData) => [...(await readTensor(data)).data];

test('a stack holds its parts in order under a new first axis', async () => {
  const stack = stackData(parts);
  expect([stack.dtype, stack.shape, stack.byteLength]).toEqual(['f32', [3, 2, 3], 72]);
  expect(await valuesOf(stack)).toEqual([0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 20, 21, 22, 23, 24, 25]);
  const whole = await readBytes(stack);
  for (const range of [
    { begin: 20, end: 28 },
    { begin: 0, end: 0 },
    { begin: 44, end: 72 },
  ])
    expect(await readBytes(stack, range)).toEqual(whole.subarray(range.begin, range.end));
});

test('a row is its part, with its provenance, and nothing else is read', async () => {
  const unreadable: TensorData = {
    ...parts[0]!,
    chunks(): AsyncIterable<Uint8Array> {
      throw new Error('read');
    },
  };
  const stack = stackData([unreadable, parts[1]!, unreadable]);
  expect(selectRow(stack, 1).from?.key).toBe('layer_1');
  expect(await valuesOf(selectRow(stack, 1))).toEqual([10, 11, 12, 13, 14, 15]);
  expect(await valuesOf(reshapeData(sliceRows(stack, 1, 2), [6]))).toEqual([10, 11, 12, 13, 14, 15]);
  expect(() => selectRow(stack, 3)).toThrow(RangeError);
});

test('parts may be views, and the stack may be viewed', async () => {
  const stack = stackData(parts.map((data) => transposeData(castData(data, 'f16'), [1, 0])));
  expect([stack.dtype, stack.shape]).toEqual(['f16', [3, 3, 2]]);
  expect(await valuesOf(selectRow(stack, 2))).toEqual([20, 23, 21, 24, 22, 25]);
  expect(await valuesOf(transposeData(stack, [0, 2, 1]))).toEqual(await valuesOf(stackData(parts)));
});

test('nothing, other shapes and other dtypes do not stack', () => {
  const f32 = bytesData('f32', [2], new Uint8Array(8));
  expect(() => stackData([])).toThrow(RangeError);
  expect(() => stackData([f32, bytesData('f32', [1, 2], new Uint8Array(8))])).toThrow(RangeError);
  expect(() => stackData([f32, bytesData('i32', [2], new Uint8Array(8))])).toThrow(RangeError);
});
