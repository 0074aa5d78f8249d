import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test, vi } from 'vitest';
import type * as Transpose from '../../ir/views/transpose.ts';
import type { TensorData } from '../../ir/tensor.ts';
import { tempFolders } from '../testing/bundle.ts';
import { convert } from '../compile/convert.ts';
import { WeightsDiffer } from '../compile/weights_differ.ts';
import { silentReporter } from '../terminal/reporter.ts';

/* A writer that says that it stores a matrix transposed, and stores it as it is. */

vi.mock('../../ir/views/transpose.ts', async (original) => ({
  ...(await original<typeof Transpose>()),
  transposeData: (data: TensorData, perm: readonly number[]) => ({
    ...data,
    shape: perm.map((axis) => data.shape[axis]!),
  }),
}));

const CHECKPOINT = fileURLToPath(new URL('../../fixtures/pg2-tiny/hf', import.meta.url));
const tempFolder = tempFolders();

test.each(['onnx', 'tfjs'])('%s: a conversion by a wrong layout fails and names the first weight', async (backend) => {
  const out = join(await tempFolder(), 'bundle');
  const failure: unknown = await convert(
    { checkpoint: CHECKPOINT, out, backend, precision: 'fp32' },
    silentReporter,
  ).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(WeightsDiffer);
  const { code, message, place, report } = failure as WeightsDiffer;
  expect(code).toBe('weights_differ');
  expect(message).toMatch(
    /^the bundle does not hold the checkpoint's weights: "\S+\.transposed" is .* where \S+ has .*, at \[0, 1\]/,
  );
  expect(place).toMatchObject({ tensor: report.differences[0]!.tensor, offset: expect.any(Number) });
  expect(report.differences.every(({ tensor }) => tensor.endsWith('.transposed'))).toBe(true);
  expect(existsSync(out)).toBe(false);
});
