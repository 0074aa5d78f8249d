import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evaluatorKernels } from '../../../backends/onnx/evaluator_kernels.ts';
import type { Program } from '../../../ir/graph.ts';
import { memoryScratch } from '../../../ir/testing/memory_scratch.ts';
import { openModel, type OpenModel } from '../../models/open_model.ts';
import type { Reporter } from '../../terminal/reporter.ts';
import { silentReporter } from '../../terminal/reporter.ts';
import { calibrate, type Calibration } from './calibrate.ts';
import { defaultSamples } from '../../samples/default_samples.ts';
import { chosenSet, runCalibration } from './index.ts';
import { Inputs } from '../../inputs/inputs.ts';
import { PROCESSORS } from '../../../backends/client/images/processor.ts';

let model: OpenModel;
let program: Program;
let calibration: Calibration;
const progress: [number, number][] = [];
const samples = () => defaultSamples(program.metadata, { processor: PROCESSORS.huggingface }).slice(0, 2);

beforeAll(async () => {
  model = await openModel({ checkpoint: 'fixtures/pg1-tiny/hf' });
  ({ program } = model.model);
  calibration = await calibrate(program, {
    samples: samples(),
    scratch: memoryScratch().scratch,
    onProgress: (done, total) => progress.push([done, total]),
  });
});
afterAll(() => model.close());

/**
 * Rows that the layers of a graph see: all of an image, or of image, text and new tokens; the head only text and new
 * tokens.
 */
const rows = () => {
  const { imageTokens } = program.metadata;
  return { vision: 2 * imageTokens, decoder: 2 * (imageTokens + 8 + 2), head: 2 * (8 + 2) };
};

const visionWidth = () => program.graphs[0]!.stages[0]!.value.type.shape[2] as number;

test('every value that a run computes has a range, over image, prompt and new tokens', () => {
  const decoder = calibration.ranges.get('decoder')!;
  const { hiddenSize } = program.metadata;
  expect(decoder.get('lm.0.rms_norm')!.value.count).toBe(rows().decoder * hiddenSize);
  expect(decoder.get(program.graphs[2]!.outputs[0]!.value.name)!.value).toMatchObject({
    count: rows().head * program.metadata.vocabSize,
    nonFinite: 0,
  });
  expect(decoder.get('lm.0.attention')!.products!.absMax).toBeGreaterThan(0);
  expect(calibration.ranges.get('vision_encoder')!.get('vit.0.layer_norm')!.value.count).toBe(
    rows().vision * visionWidth(),
  );
});

test('every linear weight has second moments, and rows of its inputs that have them', async () => {
  const linears = calibration.program.graphs.flatMap(({ nodes }) =>
    nodes.filter(({ op }) => op === 'linear').map(({ inputs }) => inputs[1]!),
  );
  expect(linears.length).toBeGreaterThan(20);
  for (const { name, type } of linears) {
    const importance = calibration.moments.importanceOf(name)!;
    expect(importance, name).toHaveLength(type.shape[1] as number);
    expect(importance.every((x) => x >= 0 && x < Infinity)).toBe(true);
    const squares = new Float64Array(importance.length);
    let count = 0;
    for (const value of calibration.rows!.rowsOf(name)!)
      for await (const row of value.read()) {
        count++;
        row.forEach((x, k) => (squares[k]! += x * x));
      }
    importance.forEach((x, k) => expect(Math.abs(squares[k]! / count - x), name).toBeLessThanOrEqual(1e-6 * x));
  }
});

test('progress counts every layer once, to the end', () => {
  const [last] = progress.slice(-1);
  expect(last![0]).toBe(last![1]);
  expect(progress.map(([done]) => done)).toEqual(progress.map((_, i) => i + 1));
});

test('an answer that ends early ends its progress too', async () => {
  const stopTokenIds = Array.from({ length: program.metadata.vocabSize }, (_, id) => id);
  const steps: [number, number][] = [];
  await calibrate(
    { ...program, metadata: { ...program.metadata, stopTokenIds } },
    { samples: samples(), newTokens: 6, onProgress: (done, total) => steps.push([done, total]) },
  );
  const [done, total] = steps.at(-1)!;
  expect(done).toBe(total);
  // neither of the two answers was read to its end
  expect(steps.length).toBeLessThan(total);
});

test('tokens are read behind the first samples alone where that is asked for', async () => {
  const steps: [number, number][] = [];
  const { ranges } = await calibrate(program, {
    samples: samples(),
    answered: 1,
    onProgress: (done, total) => steps.push([done, total]),
  });
  const { hiddenSize } = program.metadata;
  expect(ranges.get('decoder')!.get('lm.0.rms_norm')!.value.count).toBe((rows().decoder - 2) * hiddenSize);
  expect(steps.map(([done]) => done)).toEqual(steps.map((_, i) => i + 1));
  expect(steps.at(-1)![0]).toBe(steps.at(-1)![1]);
});

test('samples that are shown at once give what they give one by one, and progress to its end', async () => {
  const six = defaultSamples(program.metadata, { processor: PROCESSORS.huggingface }).slice(0, 6);
  const steps: [number, number][] = [];
  const shown = { samples: six, newTokens: 1 };
  const alone = await calibrate(program, shown);
  const at = await calibrate(program, {
    ...shown,
    together: 4,
    onProgress: (done, total) => steps.push([done, total]),
  });
  expect(at.pictures).toEqual(alone.pictures);
  const weights = program.graphs.flatMap(({ nodes }) =>
    nodes.flatMap(({ op, inputs }) => (op === 'linear' ? [inputs[1]!.name] : [])),
  );
  expect(weights.length).toBeGreaterThan(20);
  for (const weight of weights) {
    const expected = alone.moments.importanceOf(weight)!;
    // rows come in another order
    at.moments.importanceOf(weight)!.forEach((x, k) => {
      expect(Math.abs(x - expected[k]!), weight).toBeLessThanOrEqual(1e-9 * expected[k]!);
    });
  }
  for (const [graph, values] of alone.ranges)
    for (const [name, { value }] of values)
      expect(at.ranges.get(graph)!.get(name)!.value, `${graph}/${name}`).toMatchObject({
        count: value.count,
        absMax: value.absMax,
      });
  expect(steps.at(-1)).toEqual([steps[0]![1], steps[0]![1]]);
});

test('the same samples give the same numbers', async () => {
  const again = await calibrate(program, { samples: samples() });
  expect(again.ranges).toEqual(calibration.ranges);
  expect(again.moments.importanceOf('lm.1.gate')).toEqual(calibration.moments.importanceOf('lm.1.gate'));
});

test('products by ONNX Runtime give the same to the precision of f32', async () => {
  const fast = await calibrate(program, { samples: samples(), kernels: await evaluatorKernels() });
  for (const [graph, values] of calibration.ranges)
    for (const [name, { value }] of values) {
      const other = fast.ranges.get(graph)!.get(name)!.value;
      // f32 sums, layer upon layer
      expect(Math.abs(other.absMax - value.absMax), `${graph}/${name}`).toBeLessThanOrEqual(1e-4 * value.absMax);
    }
});

test('a signal stops it between two nodes, with its reason', async () => {
  const abort = new AbortController();
  const reason = new Error('enough');
  let heard = 0;
  const run = calibrate(program, {
    samples: samples(),
    signal: abort.signal,
    onProgress: () => {
      if (++heard === 3) abort.abort(reason);
    },
  });
  await expect(run).rejects.toBe(reason);
  expect(heard).toBe(3);
});

describe('what is done when', () => {
  const request = { calibrate: undefined, narrows: true, verify: false };

  test('small models are calibrated where activations are narrowed; others when they are verified, or asked to', () => {
    const [graph] = program.graphs as [Program['graphs'][0]];
    const [weight] = graph.constants.filter((c) => c.kind === 'weight');
    const sized = (byteLength: number): Program => ({
      ...program,
      graphs: [{ ...graph, constants: [{ ...weight!, data: { ...weight!.data, byteLength } }] }],
    });
    const large = sized(512 * 2 ** 20 + 4);
    expect(chosenSet(sized(512 * 2 ** 20), request)).toBe('default');
    expect(chosenSet(program, request)).toBe('default');
    expect(chosenSet(program, { ...request, narrows: false })).toBeUndefined();
    expect(chosenSet(large, request)).toBeUndefined();
    expect(chosenSet(large, { ...request, verify: true })).toBe('default');
    expect(chosenSet(large, { ...request, calibrate: 'pictures' })).toBe('pictures');
    expect(chosenSet(program, { ...request, calibrate: 'none' })).toBeUndefined();
  });

  test('a stage of progress, and nothing when nothing is done', async () => {
    const stages: string[] = [];
    const reporter: Reporter = {
      ...silentReporter,
      stage: (label, { total }) => (
        stages.push(`${label}, ${total} steps`),
        silentReporter.stage(label, { unit: 'steps', total })
      ),
    };
    const rest = {
      narrows: true,
      verify: false,
      tokenizer: undefined,
      processor: PROCESSORS.huggingface,
      inputs: new Inputs(),
    };
    expect(await runCalibration(program, { calibrate: 'none', ...rest }, reporter)).toBeUndefined();
    expect(stages).toEqual([]);
    const done = await runCalibration(
      program,
      { calibrate: 'default', ...rest, scratch: memoryScratch().scratch },
      reporter,
    );
    expect(done!.samples).toBe(4);
    expect(done!.rows!.rowsOf('lm.0.q')).toBeDefined();
    expect(stages).toEqual([expect.stringMatching(/^calibrate on 4 pictures, \d+ steps$/)]);
    await expect(runCalibration(program, { calibrate: 'no/folder', ...rest }, reporter)).rejects.toMatchObject({
      code: 'no_calibration_folder',
    });
  });
});
