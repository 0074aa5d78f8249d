import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readModelFile } from '../../backends/onnx/decode.ts';
import { onnx } from '../../backends/onnx/index.ts';
import type { NodeProto } from '../../backends/onnx/proto/onnx_pb.ts';
import { emittedBundle } from '../../backends/onnx/testing/emitted_bundle.ts';
import type { Program } from '../../ir/graph.ts';
import { runPassesOnProgram } from '../../ir/passes/index.ts';
import { stageNames } from '../../verify/divergence.ts';
import { reportText } from '../../verify/report.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { verifyProgram, type VerifyReport } from '../../verify/verify.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { buildProgram, readCheckpoint } from '../models/paligemma.ts';
import { HUGGING_FACE } from '../models/paligemma/behaviour.ts';
import { passesFor } from '../precision/precision.ts';
import { soundProgram, type Fault, type Sound } from '../testing/fault.ts';
import { FAULTS, PADDING_SEEN } from '../testing/faults.ts';
import { PALIGEMMA_2_FAULTS } from '../testing/faults_paligemma2.ts';
import { readRecording, type Recording } from '../testing/recording.ts';

// Some of the faults of mutations.test.ts and mutations_paligemma2.test.ts through the files of a bundle and ONNX
// Runtime.
const FIXTURES = ['pg1-tiny', 'pg2-tiny', 'pg2-28b-tiny', 'pg2-window'] as const;
type Fixture = (typeof FIXTURES)[number];
const checkpoints: Checkpoint[] = [];
const sounds = new Map<string, Sound>();
const recordings = new Map<string, Recording>();
const soundOf = (fixture: Fixture) => sounds.get(fixture)!;

beforeAll(async () => {
  for (const fixture of FIXTURES) {
    const checkpoint = await openCheckpoint(`fixtures/${fixture}/hf`);
    checkpoints.push(checkpoint);
    sounds.set(fixture, readCheckpoint(checkpoint));
    recordings.set(fixture, await readRecording(`fixtures/${fixture}`));
  }
});
afterAll(async () => {
  await Promise.all(checkpoints.map((file) => file.close()));
});

async function verifyBundleOf(
  program: Program,
  fixture: Fixture,
  precision: Precision,
  invariants = false,
): Promise<VerifyReport> {
  await using bundle = await emittedBundle(runPassesOnProgram(program, passesFor(precision)), precision);
  const candidate = await onnx.open(bundle.dir);
  try {
    return await verifyProgram({
      candidate,
      ...recordings.get(fixture)!,
      metadata: program.metadata,
      precision,
      stages: stageNames(program),
      invariants,
    });
  } finally {
    await candidate.dispose();
  }
}

async function expectLocated(fault: Fault, fixture: Fixture, precision: Precision): Promise<void> {
  const report = await verifyBundleOf(await fault.build(soundOf(fixture)), fixture, precision);
  expect(report.passed).toBe(false);
  const { phase, stage } = report.firstDivergingStage!;
  expect(`${phase} ${stage}`, reportText(report)).toBe(fault.shows);
}

test.each(
  (['pg1-tiny', 'pg2-tiny', 'pg2-window'] as const).flatMap((fixture) =>
    (['fp32', 'fp16'] as const).map((precision) => [fixture, precision] as const),
  ),
)('the sound bundle of %s passes in %s and agrees with itself', async (fixture, precision) => {
  const report = await verifyBundleOf(soundProgram(soundOf(fixture)), fixture, precision, true);
  expect(report.passed, reportText(report)).toBe(true);
  expect(report.candidate).toContain('onnxruntime');
});

test('the sound bundle of pg2-28b-tiny is within the relative bounds, with logits of 54 (see parity.test.ts for absolute ones)', async () => {
  const { checks, greedyDifferences } = await verifyBundleOf(
    soundProgram(soundOf('pg2-28b-tiny')),
    'pg2-28b-tiny',
    'fp32',
  );
  const failed = checks.filter(
    ({ passed, bounds }) =>
      !passed && !(bounds.length > 0 && bounds.every((bound) => bound.passed || bound.metric === 'maxAbs')),
  );
  expect(failed).toEqual([]);
  expect(greedyDifferences).toEqual([]);
});

const named = (faults: readonly Fault[], ...names: string[]): Fault[] =>
  names.map((name) => {
    const fault = faults.find((f) => f.name === name);
    if (!fault) throw new Error(`no fault "${name}"`);
    return fault;
  });

describe('PaliGemma 1', () => {
  test.each(
    named(
      FAULTS,
      'decoder norms scale by w, not 1 + w',
      'gate and up swapped',
      'prompt is causal',
      'positions of the suffix are one further',
      'exact gelu in the image tower',
      'no √D on text embeddings',
      'image features divided by √D',
    ),
  )('in fp32: $name', (fault) => expectLocated(fault, 'pg1-tiny', 'fp32'));

  test.each(
    named(FAULTS, 'k and v swapped in the image tower', 'prompt is causal', 'positions of the suffix are one further'),
  )('in fp16, where rounding is thousands of times larger: $name', (fault) => expectLocated(fault, 'pg1-tiny', 'fp16'));

  test('padding is attended: the padded row differs from itself alone', async () => {
    const report = await verifyBundleOf(await PADDING_SEEN.build(soundOf('pg1-tiny')), 'pg1-tiny', 'fp32', true);
    const failed = report.checks.filter(({ passed }) => !passed).map((check) => `${check.case}: ${check.output}`);
    expect(failed).toContain('recorded, left-padded: row 1 in the batch = alone');
    expect(failed.filter((line) => line.startsWith('recorded:'))).toEqual([]);
  });
});

describe('PaliGemma 2', () => {
  const of = (fixture: Fixture, ...names: string[]) =>
    named(PALIGEMMA_2_FAULTS[fixture]!, ...names).map((fault) => [fault.name, fault, fixture] as const);
  const sliding = of(
    'pg2-window',
    'odd layers slide, not even ones',
    'the window has a token too many',
    'the window cuts the prompt',
  );
  const norms = of(
    'pg2-tiny',
    'norm_attn_out and norm_mlp_in swapped (H.11)',
    'norm after attention on the sum, not on what is added',
    'KV heads tiled, not repeated',
    'image features multiplied by √D, and not divided before (H.4)',
  );

  test.each([
    ...norms,
    ...sliding,
    ...of(
      'pg2-28b-tiny',
      'attention softcap dropped in the last layer alone, whose scores are far beyond it (H.6)',
      'query scale head_dim^-0.5, not (D/N)^-0.5 (H.7)',
    ),
  ])('in fp32: %s', (_, fault, fixture) => expectLocated(fault, fixture, 'fp32'));

  test.each([...norms.slice(0, 2), ...sliding])('in fp16: %s', (_, fault, fixture) =>
    expectLocated(fault, fixture, 'fp16'),
  );
});

describe('the attention softcap is in the graph as ops that have no choice about it (H.6)', () => {
  /** The decoder's nodes, and which of them makes a value. */
  async function decoderNodes(
    program: Program,
    precision: Precision,
  ): Promise<{ nodes: readonly NodeProto[]; madeBy: (value: string) => NodeProto | undefined }> {
    await using bundle = await emittedBundle(runPassesOnProgram(program, passesFor(precision)), precision);
    const nodes = (
      await readModelFile(join(bundle.dir, 'onnx', `decoder_model_merged${precision === 'fp16' ? '_fp16' : ''}.onnx`))
    ).model.graph.node;
    return { nodes, madeBy: (value) => nodes.find(({ output }) => output.includes(value)) };
  }
  const count = (nodes: readonly NodeProto[], opType: string) => nodes.filter((node) => node.opType === opType).length;

  test.each(['fp32', 'fp16'] as const)(
    '%s: every softmax is of scores that went through tanh, and nothing fuses attention',
    async (precision) => {
      const sound = soundOf('pg2-tiny');
      const { layers } = sound.config.text;
      const { nodes, madeBy } = await decoderNodes(soundProgram(sound), precision);
      const softmaxes = nodes.filter(({ opType }) => opType === 'Softmax');
      expect(softmaxes).toHaveLength(layers);
      // softmax(cap · tanh(x / cap) + bias)
      for (const {
        input: [scores],
      } of softmaxes) {
        const biased = madeBy(scores!)!;
        expect(biased.opType).toBe('Add');
        const scaled = biased.input.map(madeBy).find((node) => node?.opType === 'Mul');
        expect(scaled?.input.map((value) => madeBy(value)?.opType)).toContain('Tanh');
      }
      expect(count(nodes, 'Tanh')).toBe(layers);
      expect(
        nodes.filter(({ opType, domain }) => /attention/i.test(opType) || domain !== '').map(({ opType }) => opType),
      ).toEqual([]);
    },
  );

  test('one tanh more when logits are capped, none in PaliGemma 1', async () => {
    const { config, weights } = soundOf('pg2-tiny');
    expect(
      count(
        (await decoderNodes(buildProgram(config, weights, { ...HUGGING_FACE, finalSoftcap: true }), 'fp32')).nodes,
        'Tanh',
      ),
    ).toBe(config.text.layers + 1);
    expect(count((await decoderNodes(soundProgram(soundOf('pg1-tiny')), 'fp32')).nodes, 'Tanh')).toBe(0);
  });
});
