import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { backends } from '../../backends/index.ts';
import type { Backend } from '../../backends/backend.ts';
import type { Program } from '../../ir/graph.ts';
import { openModel, type OpenModel } from '../models/open_model.ts';
import type { CalibrationSample } from '../samples/calibration_sample.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { bitsOf, refuseGoals, requireBudget, type BitChoices } from './weight_bits.ts';

let opened: OpenModel;
let onnx: Backend;
beforeAll(async () => {
  opened = await openModel({ checkpoint: 'fixtures/pg1-tiny/hf' });
  onnx = await backends['onnx']!();
});
afterAll(() => opened.close());

const bundleBytes = (program: Program) =>
  onnx.emit(program, { precision: 'int4' }).files.reduce((sum, { byteLength }) => sum + byteLength, 0);
const request = () => ({
  model: opened.model,
  precision: 'int4' as const,
  backend: onnx,
  inputs: opened.inputs,
  passes: { backend: onnx },
  bundleBytes,
});

describe('goals', () => {
  const refused = (choices: BitChoices & { readonly calibrate?: string }) => () =>
    refuseGoals({ model: opened.model, ...choices });

  test.each([
    [{ budget: 1, targetKld: 1, calibrate: 'photos' }, 'two_goals', '--budget and --target-kld'],
    [{ budget: 1, mixed: 'none', calibrate: 'photos' }, 'two_goals', '--budget and --mixed none'],
    [{ targetKld: 1 }, 'goal_without_samples', '--target-kld'],
    [{ targetKld: 1, calibrate: 'none' }, 'goal_without_samples', '--target-kld'],
    [{ budget: 1, calibrate: 'default' }, 'goal_without_samples', '--budget'],
  ])('%j: %s', (choices, code, message) => {
    expect(refused(choices)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
  });

  test('none, or one with a folder, is no fault', () => {
    expect(refused({ mixed: 'none' })).not.toThrow();
    expect(refused({ budget: 1, mixed: 'auto', calibrate: 'photos' })).not.toThrow();
  });

  test('a budget below the fewest bits is refused before anything is looked at, with what they take', async () => {
    const { storageOf } = await bitsOf({ ...request(), mixed: 'none' }, silentReporter);
    expect(new Set([storageOf({ name: 'lm.head', kind: 'linear', shape: [1, 1] })])).toEqual(new Set(['int4']));
    const thrown = (budget: number) => {
      try {
        requireBudget({ ...request(), budget });
      } catch (error) {
        return error as { readonly code: string; readonly exitCode: number; readonly place: { readonly hint: string } };
      }
      return undefined;
    };
    const refusal = thrown(1000);
    expect(refusal).toMatchObject({ code: 'budget_too_small', exitCode: 2 });
    const least = Number(/give (\d+) bytes/.exec(refusal!.place.hint)![1]);
    expect([thrown(least), thrown(least - 1)?.code]).toEqual([undefined, 'budget_too_small']);
  });
});

test('a bundle that is made again has the bits that its manifest tells', async () => {
  const { storageOf, recorded } = await bitsOf(
    { ...request(), mixed: 'auto', storage: { 'lm.0.up': 'fp16' } },
    silentReporter,
  );
  const of = (name: string) => storageOf({ name, kind: 'linear', shape: [1, 1] });
  expect([of('lm.0.up'), of('lm.head')]).toEqual(['fp16', 'int4']);
  expect(recorded).toEqual({ 'lm.0.up': 'fp16' });
});

test('without samples the rules decide, and are recorded', async () => {
  const { recorded, notes } = await bitsOf({ ...request(), mixed: 'auto' }, silentReporter);
  expect(recorded).toMatchObject({ 'lm.head': 'int8', 'lm.0.k': 'int8' });
  expect(recorded).not.toHaveProperty('vit.0.q.w');
  expect(notes).toEqual([]);
});

test('floats have no bits to choose', async () => {
  const samples: readonly CalibrationSample[] = [];
  expect(await bitsOf({ ...request(), precision: 'fp16', samples }, silentReporter)).toMatchObject({
    recorded: undefined,
    notes: [],
  });
});
