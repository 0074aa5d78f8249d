import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { evaluatorRunner } from '../../../ir/evaluate.ts';
import type { Constant } from '../../../ir/graph.ts';
import { readTensor } from '../../../ir/tensor.ts';
import { syntheticCases } from '../../../verify/cases.ts';
import { difference } from '../../../verify/metrics.ts';
import { rowsOf } from '../../../verify/rows.ts';
import { runCase, type Outcome } from '../../../verify/run_case.ts';
import { openModel, type ModelSource } from '../../models/open_model.ts';
import { tempFolders } from '../../testing/bundle.ts';
import { FURTHER_MODELS, makeModel, modelsNamed } from './further_models.ts';
import { holdCheckpoint, weightNamed, writeHeld, type HeldCheckpoint } from './held_checkpoint.ts';
import { perturbed } from './perturb.ts';
import { rescaled } from './rescale.ts';
import { widened } from './widen.ts';

const PARENT = 'fixtures/pg1-tiny/hf';
/** Weights are rounded to f32 once more, each by 6e-8 of itself at most; the sums of some layers add that up. */
const SAME_FUNCTION = 1e-6;

const folder = tempFolders();
let parent: HeldCheckpoint;
let original: Outcome;
beforeAll(async () => {
  parent = await holdCheckpoint(PARENT);
  original = await outcomeOf(PARENT);
});

async function outcomeOf(checkpoint: string): Promise<Outcome> {
  const { model, close } = await openModel({ checkpoint });
  try {
    const { program } = model;
    const { metadata } = program;
    return await runCase({ runner: evaluatorRunner(program), metadata }, syntheticCases(metadata)[0]!);
  } finally {
    await close();
  }
}

async function written(held: HeldCheckpoint): Promise<string> {
  const out = await folder();
  await writeHeld(held, PARENT, out);
  return out;
}

/** Relative, of what tower and decoder give; the larger. */
async function apartFromParent(held: HeldCheckpoint): Promise<number> {
  const { imageFeatures, prefillLogits } = await outcomeOf(await written(held));
  return Math.max(
    difference(rowsOf(imageFeatures!), rowsOf(original.imageFeatures!)).relativeL2,
    difference(rowsOf(prefillLogits!), rowsOf(original.prefillLogits!)).relativeL2,
  );
}

describe('other weights that compute the same', () => {
  test('a wider model', async () => {
    const wide = widened(parent, { share: 0.25, seed: 3 });
    expect(await apartFromParent(wide)).toBeLessThan(SAME_FUNCTION);
    // 160 and 100, and a quarter more, in whole blocks of codes
    expect(wide.config.text_config.intermediate_size).toBe(224);
    expect(wide.config.vision_config.intermediate_size).toBe(128);
    expect(weightNamed(wide, 'language_model.model.layers.2.mlp.down_proj.weight').shape).toEqual([64, 224]);
    expect(weightNamed(wide, 'vision_tower.encoder.layers.2.mlp.fc1.bias').shape).toEqual([128]);
  });

  test('a model with channels of other sizes', async () => {
    const outliers = rescaled(parent, { sigma: 1, seed: 3 });
    expect(await apartFromParent(outliers)).toBeLessThan(SAME_FUNCTION);
    const q = 'language_model.model.layers.0.self_attn.q_proj.weight';
    expect(spreadOfColumns(outliers, q)).toBeGreaterThan(3 * spreadOfColumns(parent, q));
  });

  test('noise does not', async () => {
    expect(await apartFromParent(perturbed(parent, { strength: 0.01, seed: 3 }))).toBeGreaterThan(100 * SAME_FUNCTION);
  });
});

describe('noise', () => {
  test('has the strength that was asked for, on matrices alone', () => {
    const noisy = perturbed(parent, { strength: 0.02, seed: 1 });
    for (const [name, before] of parent.weights) {
      const gap = difference(rowsOf(weightNamed(noisy, name)), rowsOf(before)).relativeL2;
      if (before.shape.length === 1) expect(gap).toBe(0);
      // of 48 × 48 elements and more: a standard deviation over so many is known to a few hundredths
      else expect(Math.abs(gap / 0.02 - 1)).toBeLessThan(0.1);
    }
  });

  test.each([
    ['noise', (seed: number) => perturbed(parent, { strength: 0.02, seed })],
    ['widths', (seed: number) => widened(parent, { share: 0.25, seed })],
    ['scales', (seed: number) => rescaled(parent, { sigma: 1, seed })],
  ])('of %s: a seed gives the same again, another does not', (_, make) => {
    const once = hashesOf(make(1));
    expect(hashesOf(make(1))).toEqual(once);
    expect(hashesOf(make(2))).not.toEqual(once);
  });
});

describe('the models', () => {
  test('are read back as they were written', async () => {
    expect(hashesOf(await holdCheckpoint(await written(parent)))).toEqual(hashesOf(parent));
  });

  test('are five, each another than its parent', async () => {
    expect(new Set(FURTHER_MODELS.map(({ name }) => name)).size).toBe(5);
    for (const model of FURTHER_MODELS) {
      const checkpoint = await makeModel(model, await folder());
      expect(await queriesOf({ ...model, checkpoint })).not.toBe(await queriesOf({ checkpoint: model.checkpoint }));
    }
  });

  test('are asked for by name', () => {
    expect(modelsNamed('shapes-lora,segments-wide').map(({ name }) => name)).toEqual(['shapes-lora', 'segments-wide']);
    expect(() => modelsNamed('shape')).toThrow(/one of segments, shapes, segments-noise/);
  });
});

/** Of values by name: thousands of numbers are compared at once. */
function hashesOf({ weights }: HeldCheckpoint): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...weights].map(([name, { data }]) => [
      name,
      createHash('sha256')
        .update(new Uint8Array(Float32Array.from(data).buffer))
        .digest('hex'),
    ]),
  );
}

/** The largest column by the smallest, by their largest elements. */
function spreadOfColumns(held: HeldCheckpoint, name: string): number {
  const { shape, data } = weightNamed(held, name);
  const width = shape[1]!;
  const largest = new Float64Array(width);
  data.forEach((x, i) => (largest[i % width] = Math.max(largest[i % width]!, Math.abs(x))));
  return Math.max(...largest) / Math.min(...largest);
}

/** Of the first layer: a matrix that all changes reach. */
async function queriesOf({ checkpoint, adapters }: ModelSource): Promise<string> {
  const { model, close } = await openModel({ checkpoint, ...(adapters && { adapters }) });
  try {
    const constants = model.program.graphs.flatMap((graph) => graph.constants);
    const queries = constants.find(({ value }) => value.name === 'lm.0.q');
    const { data } = await readTensor((queries as Extract<Constant, { kind: 'weight' }>).data);
    return data.join();
  } finally {
    await close();
  }
}
