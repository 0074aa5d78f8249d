import { expect, test } from 'vitest';
import { tensorOf } from '../../ir/tensor.ts';
import { decodeMessage, encodeMessage } from './messages.ts';

test('what is said arrives as it was: texts, numbers that JSON has not, every kind of elements, empty tensors', () => {
  const tensors = {
    'ä <stage>': tensorOf('f32', [2, 2], [NaN, -0, Infinity, 1.5]),
    ids: tensorOf('i64', [3], [-1, 2 ** 53, 7]),
    mask: tensorOf('bool', [1], [1]),
    none: tensorOf('f16', [0, 4], []),
  };
  const { body, tensors: found } = decodeMessage(encodeMessage({ body: { id: 3, stages: ['é'] }, tensors }).buffer);
  expect(body).toEqual({ id: 3, stages: ['é'] });
  expect(found).toEqual(tensors);
  expect(Object.is(found['ä <stage>']!.data[1], -0)).toBe(true);
});

test('a view of a larger array is sent as what it shows', () => {
  const whole = Float32Array.from([1, 2, 3, 4, 5]);
  const part = { dtype: 'f32', shape: [2], data: whole.subarray(1, 3) } as const;
  expect([...decodeMessage(encodeMessage({ body: null, tensors: { part } }).buffer).tensors['part']!.data]).toEqual([
    2, 3,
  ]);
});
