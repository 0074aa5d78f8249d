import { expect, test } from 'vitest';
import { bytesData, readBytes } from '../tensor.ts';
import { plainExecutor } from './executor.ts';
import { lazyQuantized, type QuantizedMatrix } from './lazy_matrix.ts';
import { INT8, layoutOf } from './scheme.ts';

/** Bytes of codes that a run is said to have: what is kept of a matrix counts for the limit of 64 MiB. */
const HELD = 30 * 1024 * 1024;

/** A matrix of one run whose codes do not follow from its scales, and how often it was computed. */
function counted(): { readonly matrix: QuantizedMatrix; readonly jobs: () => number } {
  let jobs = 0;
  const source = bytesData('f32', [2, 32], new Uint8Array(4 * 64));
  const matrix = lazyQuantized({
    source,
    layout: layoutOf(source, INT8, false),
    codesFollow: false,
    executor: {
      ...plainExecutor,
      run: async () => {
        jobs++;
        return { q: new Uint8Array(HELD), choices: { scales: new Uint16Array(2) } };
      },
    },
    job: async ({ bytes, rows }) => ({
      bytes,
      rows,
      dtype: 'f32',
      columns: 32,
      form: layoutOf(source, INT8, false).form,
      algorithm: 'rtn',
    }),
  });
  return { matrix, jobs: () => jobs };
}

test('what was read last is kept longest, also where reading it again computed nothing', async () => {
  const [a, b, c] = [counted(), counted(), counted()];
  const read = ({ matrix }: typeof a) => readBytes(matrix.scales);
  await read(a);
  await read(b);
  await read(a); // kept: now b is the oldest
  await read(c);
  await read(a);
  expect([a, b, c].map(({ jobs }) => jobs())).toEqual([1, 1, 1]);
  await read(b);
  expect(b.jobs()).toBe(2);
});
