import { expect } from 'vitest';
import { nodeTfjs, type TfDevice } from '../node_tfjs.ts';
import { withErrorScopes } from '../packed/error_scopes.ts';
import { wordRows } from '../packed/word_rows.ts';

/** Words of all bits, in a tensor that is too large for tfjs to answer from the host. */
export async function expectWordRows(
  device: TfDevice,
  shape: readonly [number, ...number[]],
  first: number,
  count: number,
): Promise<void> {
  const tf = await nodeTfjs(device);
  const width = shape.slice(1).reduce((product, size) => product * size, 1);
  const words = Int32Array.from({ length: shape[0] * width }, (_, i) => Math.imul(i + 1, 0x9e3779b1));
  const tensor = tf.tensor(words, [...shape], 'int32');
  const before = tf.memory().numTensors;
  const rows = await withErrorScopes(tf, () => wordRows(tf, tensor, first, count));
  expect(rows.shape).toEqual([count, ...shape.slice(1)]);
  expect(Array.from(await rows.data())).toEqual(Array.from(words.subarray(first * width, (first + count) * width)));
  rows.dispose();
  expect(tf.memory().numTensors).toBe(before);
  tensor.dispose();
}

/** Shapes, with a first row and a count. */
export const WORD_ROWS: readonly (readonly [readonly [number, ...number[]], number, number])[] = [
  [[512, 8], 0, 1],
  [[512, 8], 511, 1],
  [[70, 66], 3, 5],
  [[5000], 1234, 7],
];
