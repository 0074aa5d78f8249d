import { afterAll, beforeAll, expect, test } from 'vitest';
import { PROCESSORS } from '../../../backends/client/images/processor.ts';
import type { Program } from '../../../ir/graph.ts';
import { quantizableWeights, type QuantizableWeight } from '../../../ir/passes/index.ts';
import { openModel, type OpenModel } from '../../models/open_model.ts';
import { promptOf, type CalibrationSample } from '../../samples/calibration_sample.ts';
import { programsFor } from '../precision.ts';
import type { WeightStorage } from '../weight_storage.ts';
import { answerProbe } from './answer_probe.ts';
import { measuredStorage, type BitGoal, type MeasuredStorage } from './measured.ts';

let opened: OpenModel;
let program: Program;
let names: readonly string[];
beforeAll(async () => {
  opened = await openModel({ checkpoint: 'fixtures/pg1-tiny/hf' });
  ({ program } = opened.model);
  names = [...new Set(program.graphs.flatMap(quantizableWeights).map(({ name }) => name))];
});
afterAll(() => opened.close());

/** Pictures of one colour each, with a prompt of a few tokens. */
const samples = (): readonly CalibrationSample[] => {
  const { imageTokens, imageTokenId, bosTokenId, imageSize } = program.metadata;
  return [40, 200].map((shade) => ({
    name: `shade ${shade}`,
    picture: `${shade}`,
    load: async () =>
      promptOf(
        { width: imageSize, height: imageSize, data: new Uint8Array(3 * imageSize * imageSize).fill(shade) },
        [...Array.from({ length: imageTokens }, () => imageTokenId), bosTokenId, 7, 9, 11],
        program.metadata,
        PROCESSORS.huggingface,
      ),
  }));
};

type StorageOf = (name: string) => WeightStorage;
const ofName =
  (storageOf: StorageOf) =>
  ({ name }: QuantizableWeight) =>
    storageOf(name);
const stored = (storageOf: StorageOf) => programsFor(program, 'int4', { storageOf: ofName(storageOf) }).reference;
/** Bits of the matrices, whatever a backend makes of them. */
const bytesOf = (storageOf: StorageOf) => {
  const sizes = new Map(
    program.graphs.flatMap(quantizableWeights).map(({ name, shape }) => [name, shape[0] * shape[1]]),
  );
  const bits: Readonly<Record<WeightStorage, number>> = { int4: 4, nf4: 4, int8: 8, fp16: 16, fp32: 32 };
  return [...sizes].reduce((sum, [name, size]) => sum + (size * bits[storageOf(name)]) / 8, 0);
};
const bytesWith = ({ storageOf }: MeasuredStorage) => bytesOf((name) => storageOf.get(name) ?? 'int4');
const measure = (goal: BitGoal) =>
  measuredStorage({
    program,
    roleOf: opened.model.roleOf,
    base: 'int4',
    goal,
    stored,
    weightBytes: (storage) =>
      new Map(
        names.map((name) => [name, bytesOf((own) => (own === name ? storage : 'int4')) - bytesOf(() => 'int4') + 1]),
      ),
    bytesOf,
    samples: samples(),
    each: false,
  });

test('a budget is kept, and its bits leave less than the fewest and than the same bytes elsewhere', async () => {
  const least = bytesOf(() => 'int4');
  const budget = Math.round(1.3 * least);
  const found = await measure({ bytes: budget });
  expect(bytesWith(found)).toBeLessThanOrEqual(budget);
  expect([found.pictures, found.matrices]).toEqual([2, names.length]);
  const probe = await answerProbe(program, { samples: samples(), newTokens: 4 });
  const low = await probe.divergenceOf(stored(() => 'int4'));
  expect(found.kld).toBeLessThan(low);
  const others = new Set<string>();
  for (const name of names.filter((own) => !found.storageOf.has(own)))
    if (bytesOf((own) => (others.has(own) || own === name ? 'int8' : 'int4')) <= budget) others.add(name);
  const elsewhere = await probe.divergenceOf(stored((name) => (others.has(name) ? 'int8' : 'int4')));
  expect(found.kld).toBeLessThan(elsewhere);
});

test('a divergence is reached, in fewer bytes where more is allowed', async () => {
  const probe = await answerProbe(program, { samples: samples(), newTokens: 4 });
  const low = await probe.divergenceOf(stored(() => 'int4'));
  const [loose, tight] = [await measure({ kld: low / 2 }), await measure({ kld: low / 100 })];
  expect(loose.kld).toBeLessThanOrEqual(low / 2);
  expect(tight.kld).toBeLessThanOrEqual(low / 100);
  expect(bytesWith(loose)).toBeLessThan(bytesWith(tight));
});

test('a program is as far from itself as nothing', async () => {
  const probe = await answerProbe(program, { samples: samples(), newTokens: 2 });
  expect(await probe.divergenceOf(program)).toBe(0);
  expect(await probe.divergenceOf(stored((name) => (name.startsWith('vit.') ? 'int4' : 'fp32')))).toBeGreaterThan(0);
});
