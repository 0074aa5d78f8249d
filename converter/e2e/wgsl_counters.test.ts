import { describe, expect, test } from 'vitest';
import { wgsl } from '../../backends/wgsl/index.ts';
import { elementCount } from '../../ir/tensor.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { countPlan, type PlanCounters } from '../bench/gpu/plan_counters.ts';
import { programIn, syntheticProgram } from '../bench/gpu/programs.ts';
import { VARIANTS } from '../models/paligemma/config.ts';
import { canonicalShapes } from '../models/paligemma/weights.ts';
import { openModel } from '../models/open_model.ts';

/*
 * What a bundle of shaders costs, as numbers that no machine changes: of plans that never run, and of tiny models that
 * do.
 */

const MIB = 2 ** 20;
const PRECISIONS: readonly Precision[] = ['fp16', 'int8', 'int4'];
/**
 * Kernels of a layer for one token, the join of attention's splits apart: a Gemma 2 has norms behind attention and MLP
 * as well.
 */
const KERNELS_A_LAYER = { 1: 5, 2: 7 } as const;
/** Masks, the embedding, the last norm, and the head, which is cut into ranges that can be bound. */
const KERNELS_BESIDE_LAYERS = { fp16: 24, int8: 12, int4: 12 } as const;
/** Bytes that a further token binds ÷ the least that it must read. */
const MOST_OF_MINIMUM = 1.02;

const isJoin = (kernel: string) => kernel.startsWith('attention_join');

/** What holds for every model and precision. */
function expectSound(counters: PlanCounters, generation: 1 | 2, precision: 'fp16' | 'int8' | 'int4'): void {
  const { layers, kernels } = counters;
  expect(kernels.filter(isJoin)).toHaveLength(layers);
  // a value projection of 8 bits beside 4-bit queries and keys is a kernel of its own: one kernel would bind 9 buffers
  const mixed = precision === 'int4' ? layers : 0;
  expect(kernels.length - layers - mixed).toBeLessThanOrEqual(
    KERNELS_A_LAYER[generation] * layers + KERNELS_BESIDE_LAYERS[precision],
  );
  expect(counters.stepWeights / counters.fewestStepWeights).toBeLessThanOrEqual(MOST_OF_MINIMUM);
  expect(counters.stepWeights / counters.fewestStepWeights, 'no weight is forgotten').toBeGreaterThanOrEqual(1);
  expect(counters.repeated, 'norms alone are read twice').toBeLessThan(counters.stepWeights / 1000);
  expect(counters.largestRange).toBeLessThanOrEqual(128 * MIB);
  expect(counters.largestBuffer, 'what a prompt of a picture needs is bound within default limits').toBeLessThanOrEqual(
    128 * MIB,
  );
  expect(counters.mostBindings).toBeLessThanOrEqual(8);
  expect(counters.shaders).toBeGreaterThanOrEqual(counters.pipelines);
}

describe.each([
  ['pg1-tiny', 1],
  ['pg2-tiny', 2],
  ['shapes', 1],
] as const)('%s', (fixture, generation) => {
  test.each(PRECISIONS)('%s, planned', async (precision) => {
    const opened = await openModel({ checkpoint: `fixtures/${fixture}/hf` });
    const counters = countPlan(await programIn(opened.model.program, precision, wgsl), precision);
    await opened.close();
    const { layers, kernels } = counters;
    expect(kernels.length - layers - (precision === 'int4' ? layers : 0)).toBeLessThanOrEqual(
      KERNELS_A_LAYER[generation] * layers + 6,
    );
    expect(counters.stepWeights / counters.fewestStepWeights).toBeLessThanOrEqual(MOST_OF_MINIMUM);
    expect(counters.repeated).toBeLessThan(counters.stepWeights / 20);
    expect(counters.mostBindings).toBeLessThanOrEqual(8);
    expect(counters.manifestBytes).toBeLessThan(64 * 1024);
  });
});

describe.each([
  ['paligemma-3b-224', 1],
  ['paligemma2-3b-224', 2],
] as const)('%s, planned without running', (variant, generation) => {
  const config = VARIANTS[variant]!;
  const program = syntheticProgram(config);
  const parameters = [...canonicalShapes(config, config.tableRows).values()].reduce(
    (sum, shape) => sum + elementCount(shape),
    0,
  );
  /** Bits of a weight with its scale: what files have at most. */
  const BITS = { fp16: 16, int8: 8.5, int4: 6.4 } as const;

  test.each(['fp16', 'int8', 'int4'] as const)('%s', async (precision) => {
    const counters = countPlan(await programIn(program, precision, wgsl), precision);
    expectSound(counters, generation, precision);
    expect(
      counters.weights / ((parameters * BITS[precision]) / 8),
      'a table that is the head lies in the shards once',
    ).toBeLessThan(1.01);
    expect(counters.shaders).toBeLessThan(100);
    expect(counters.pipelines).toBeLessThan(70);
    expect(counters.shaderBytes).toBeLessThan(400 * 1024);
    expect(counters.manifestBytes).toBeLessThan(200 * 1024);
    expect(counters.buffers - counters.cache, 'activations share memory').toBeLessThan(80 * MIB);
  });
});

test('bytes of a token of the 3B are the least that its weights have', async () => {
  const program = syntheticProgram(VARIANTS['paligemma-3b-224']!);
  for (const [precision, gigabytes] of [
    ['fp16', 5.017],
    ['int8', 2.665],
  ] as const)
    expect(countPlan(await programIn(program, precision, wgsl), precision).fewestStepWeights / 1e9).toBeCloseTo(
      gigabytes,
      2,
    );
});

/** fp16 of these are 20 and 56 GB, for which no browser has room: their plans are in docs/performance.md. */
test.each(['paligemma2-10b-224', 'paligemma2-28b-224'])('%s int4, planned without running', async (variant) => {
  const counters = countPlan(await programIn(syntheticProgram(VARIANTS[variant]!), 'int4', wgsl), 'int4');
  expectSound(counters, 2, 'int4');
  expect(counters.manifestBytes).toBeLessThan(300 * 1024);
  expect(counters.buffers - counters.cache).toBeLessThan(160 * MIB);
});
