import { describe, expect, it } from 'vitest';
import type { Graph } from '../../ir/graph.ts';
import { parseGraph } from '../../ir/parse.ts';
import { quantizeWeights, storeWeights } from '../../ir/passes/index.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import { roundToNearest } from '../../ir/testing/round_to_nearest.ts';
import { tensorData, tensorOf, type TensorData } from '../../ir/tensor.ts';
import { concatRows } from '../../ir/views/concat.ts';
import { sliceRows } from '../../ir/views/select.ts';
import { differingRow, storedWeights, withStored } from './stored_weights.ts';

const graph = parseGraph(
  `graph g {
  input %x: f32[n, 32]
  weight %w: f32[64, 32]
  weight %kept: f32[32]
  %y: f32[n, 64] = linear %x, %w
  output "y" = %y
}`,
  { weight: ({ dtype, shape }) => tensorData(randomTensor(dtype, shape, 3)) },
);

/** Rows 40 and 41 exchanged. */
function exchanged(data: TensorData): TensorData {
  return concatRows([
    sliceRows(data, 0, 40),
    sliceRows(data, 41, 42),
    sliceRows(data, 40, 41),
    sliceRows(data, 42, data.shape[0]!),
  ]);
}

const forms: Readonly<Record<string, (given: Graph) => Graph>> = Object.fromEntries([
  ...(['int4', 'int8'] as const).map((format) => [
    format,
    (given: Graph) =>
      quantizeWeights({
        schemeOf: () => ({ format, block: 32, symmetric: format === 'int8', algorithm: 'rtn', floatZero: false }),
        quantize: roundToNearest,
      }).run(given),
  ]),
  ...(['f16', 'bf16'] as const).map((dtype) => [dtype, (given: Graph) => storeWeights(dtype).run(given)]),
]);

describe.each(Object.entries(forms))('weights stored as %s', (form, store) => {
  it('are found, are within what the form explains, and take the place of the original', async () => {
    const after = store(graph);
    const stored = storedWeights(graph, after);
    expect(stored.map(({ name }) => name)).toEqual(['w']);
    expect(await differingRow(stored[0]!)).toBeUndefined();
    const constants = withStored(graph, stored).constants.map((each) => each.kind === 'weight' && each.data);
    expect(constants).toEqual([stored[0]!.stored, expect.anything()]);
    expect(constants[1]).toBe(graph.constants[1]!.kind === 'weight' && graph.constants[1]!.data);
  });

  it('with two rows exchanged are off by more than any form explains', async () => {
    const after = store(graph);
    const constants = after.constants.map((each) =>
      each.kind === 'weight' && /codes|f16/.test(each.value.name) ? { ...each, data: exchanged(each.data) } : each,
    );
    const [stored] = storedWeights(graph, { ...after, constants });
    expect(await differingRow(stored!)).toMatchObject({ name: 'w', row: 40 });
    expect((await differingRow(stored!))!.relativeL2).toBeGreaterThan(0.9);
    expect(form).toBeDefined();
  });
});

it('values too small for f16 are no fault', async () => {
  const tiny = tensorData(tensorOf('f32', [2, 32], new Float32Array(64).fill(2 ** -26)));
  const zeros = tensorData(tensorOf('f32', [2, 32], new Float32Array(64)));
  const weight = { name: 'w', original: tiny, stored: zeros, limit: 2 ** -10 };
  expect(await differingRow({ ...weight, floor: 2 ** -24 })).toBeUndefined();
  expect(await differingRow({ ...weight, floor: 0 })).toMatchObject({ row: 0, relativeL2: 1 });
});
