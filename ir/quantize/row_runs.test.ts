import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bytesData, type TensorData } from '../tensor.ts';
import { rowRuns, type RowRun } from './row_runs.ts';

/** u8 rows whose bytes tell their place; every read comes in chunks of `chunk` bytes. */
function matrix(rows: number, columns: number, chunk: number): TensorData {
  const data = bytesData(
    'u8',
    [rows, columns],
    Uint8Array.from({ length: rows * columns }, (_, i) => i),
  );
  return { ...data, chunks: (options) => data.chunks({ ...options, maxBytes: chunk }) };
}

async function runsOf(data: TensorData, begin: number, end: number, step: number): Promise<RowRun[]> {
  const runs: RowRun[] = [];
  for await (const run of rowRuns(data, begin, end, step)) runs.push(run);
  return runs;
}

test('runs end at multiples of the step, whatever chunks the bytes come in', () =>
  fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 13 }),
      fc.integer({ min: 1, max: 7 }),
      fc.constantFrom(8, 16, 24, 4096),
      fc.nat(19),
      fc.nat(20),
      async (rows, columns, step, chunk, from, count) => {
        const begin = Math.min(from, rows - 1);
        const end = Math.min(begin + count, rows);
        const runs = await runsOf(matrix(rows, columns, chunk), begin, end, step);
        let next = begin;
        for (const { first, rows: own, bytes } of runs) {
          expect(first).toBe(next);
          next += own;
          expect(next === end || next % step === 0).toBe(true);
          expect(own).toBeLessThanOrEqual(step);
          expect([...bytes]).toEqual(Array.from({ length: own * columns }, (_, i) => (first * columns + i) & 255));
        }
        expect(next).toBe(end);
      },
    ),
  ));

test('fewer rows than were promised are an error, not zeros', async () => {
  const short: TensorData = {
    ...matrix(4, 8, 8),
    async *chunks() {
      yield new Uint8Array(20);
    },
  };
  await expect(runsOf(short, 0, 4, 2)).rejects.toThrow(RangeError);
});
