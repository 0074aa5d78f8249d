import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openModel } from '../models/open_model.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { leastBytes } from './before_work.ts';

test('the fewest bytes of a bundle are its weights, the tied head once', async () => {
  const { model, close } = await openModel({ checkpoint: 'fixtures/pg1-tiny/bv_f32.npz' });
  const f32 = leastBytes(model.program, 'fp32');
  // the archive has every weight once, in f32, and headers; the tables of angles are the program's own
  const stored = (await stat(join('fixtures/pg1-tiny', 'bv_f32.npz'))).size;
  const rope = 2 * 8193 * 16 * 4;
  expect(Math.abs(f32 - rope - stored) / stored).toBeLessThan(0.05);
  const shares = (['fp16', 'int8', 'int4'] as Precision[]).map(
    (precision) => leastBytes(model.program, precision) / f32,
  );
  expect(shares).toEqual([1 / 2, 1 / 4, 1 / 8]);
  await close();
});
