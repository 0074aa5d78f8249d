import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test, vi } from 'vitest';
import type * as Store from '../../backends/wgsl/compile/weight_store.ts';
import type * as Split from '../../ir/passes/split_large_weights.ts';
import { exchanged, flip } from '../bench/faults/edits.ts';
import { edited, placesIn } from '../bench/faults/places.ts';
import { weightsReport } from '../bench/faults/weights_alone.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { tempFolders } from '../testing/bundle.ts';

/* Matrices cut into shards of rows, as the head and the table of a 3B are, at sizes at which a small model's are. */

const limits = vi.hoisted(() => ({ bytes: 20_000, binding: 0 }));

vi.mock('../../ir/passes/split_large_weights.ts', async (original) => {
  const { splitLargeWeights } = await original<typeof Split>();
  return { splitLargeWeights: () => splitLargeWeights(limits.bytes) };
});
vi.mock('../../backends/wgsl/compile/weight_store.ts', async (original) => {
  const { WeightStore } = await original<typeof Store>();
  return {
    WeightStore: class extends WeightStore {
      constructor() {
        super(limits.binding);
      }
    },
  };
});

const tempFolder = tempFolders();
const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/${name}/hf`, import.meta.url));

test.each(
  (['pg2-tiny'] as const).flatMap((name) =>
    (
      [
        ['onnx', 'fp16'],
        ['onnx', 'int8'],
        ['onnx', 'int4'],
        ['tfjs', 'fp16'],
        ['tfjs', 'int8'],
        ['tfjs', 'int4'],
        ['wgsl', 'fp32'],
        ['wgsl', 'fp16'],
      ] as const
    ).map(([backend, precision]) => [name, backend, precision] as const),
  ),
)(
  '%s in %s %s: shards are compared with their own rows, and exchanged ones named',
  async (name, backend, precision) => {
    // more than the weights of the convolution, which is not cut, and less than the table
    limits.binding = precision === 'fp32' ? 120_000 : 60_000;
    const out = join(await tempFolder(), 'bundle');
    await convert({ checkpoint: fixture(name), out, backend, precision, verify: false }, silentReporter);
    expect(await weightsReport(out)).toMatchObject({ passed: true, differences: [], problems: [], unknown: [] });
    const shards = (await placesIn(out)).filter(({ name: tensor }) => /^lm\.(?:embed|head)\b.*\.\d+\b/.test(tensor));
    const [first, second, third] = shards
      .filter(({ name: tensor }) => !/scales|zeros/.test(tensor))
      .map(({ name: tensor }) => tensor);
    expect(second, shards.map(({ name: tensor }) => tensor).join()).toBeDefined();

    const restore = await edited(out, [first!, second!], exchanged);
    const { passed, differences } = await weightsReport(out);
    expect(passed).toBe(false);
    expect(new Set(differences.map(({ tensor }) => tensor))).toEqual(new Set([first, second]));
    restore();

    const last = third ?? second!;
    const undo = await edited(out, [last], flip(1));
    const found = (await weightsReport(out)).differences;
    expect(found.map(({ tensor, element }) => [tensor, element < 4])).toEqual(found.map(() => [last, true]));
    expect(found[0]!.row).toBeGreaterThan(0);
    undo();
    expect((await weightsReport(out)).passed).toBe(true);
  },
);
