import { join } from 'node:path';
import { expect, test } from 'vitest';
import { GraphBuilder } from '../../ir/builder.ts';
import { tensorData } from '../../ir/tensor.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import { onnx } from '../../backends/onnx/index.ts';
import { convert } from '../compile/convert.ts';
import { openModel } from '../models/open_model.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { tempFolders, testFields } from '../testing/bundle.ts';
import { parameterCount, weightBytes } from './weight_bytes.ts';

const folder = tempFolders();
/** Elements of fixtures/shapes: the head is a part of the table. */
const SHAPES = 1_492_928;
/** Rows of the head by the width, which a bundle stores beside the table. */
const HEAD = 1538 * 128;

test.each(['hf', 'bv_f32.npz'])(
  'parameters of %s: a table that two graphs read counts once, computed tables do not',
  async (path) => {
    const { model, close } = await openModel({ checkpoint: `fixtures/shapes/${path}` });
    expect(parameterCount(model.program)).toBe(SHAPES);
    await close();
  },
);

test('an fp32 bundle has 4 bytes for every parameter, and for the head again', async () => {
  const out = join(await folder(), 'fp32');
  const { manifest } = await convert(
    { checkpoint: 'fixtures/shapes/hf', backend: 'onnx', precision: 'fp32', out, verify: false },
    silentReporter,
  );
  const { model, close } = await openModel({ checkpoint: 'fixtures/shapes/hf' });
  const bytes = weightBytes(model.program, await onnx.storedTensors({ dir: out, files: manifest.files }));
  await close();
  const literals = bytes - 4 * (SHAPES + HEAD);
  expect(literals).toBeGreaterThanOrEqual(0);
  expect(literals, 'scalars that graphs state').toBeLessThan(1000);
});

test('tables that were computed are no weights, whatever a bundle made of them', () => {
  const data = tensorData(randomTensor('f32', [7], 1));
  const b = new GraphBuilder('decoder');
  b.weight('computed', data);
  const program = { graphs: [b.build()], metadata: testFields.program };
  const stored = ['table', 'computed', 'computed.0', 'computed_2'].map((name) => ({ name, bytes: 100 }));
  expect(weightBytes(program, stored)).toBe(200);
});
