import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compareStages } from '../../verify/divergence.ts';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { reportText } from '../../verify/report.ts';
import { runCase } from '../../verify/run_case.ts';
import { TOLERANCES, type Precision } from '../../verify/tolerances.ts';
import { verifyProgram } from '../../verify/verify.ts';
import { openBundle } from '../bundle/open_bundle.ts';
import { verifyOnDevice } from '../testing/on_device.ts';
import { expectTfjsVerified, TFJS_LIMIT, TfjsBundles } from '../testing/tfjs_bundles.ts';
import { readRecording } from '../testing/recording.ts';
import { expectWithinRounding } from '../testing/rounding.ts';

/* Bundles for TensorFlow.js on its backends in Node, held against what both original implementations recorded. */

let bundles: TfjsBundles;
beforeAll(async () => {
  bundles = await TfjsBundles.open();
});
afterAll(() => bundles.close());

describe.each(['pg1-tiny', 'pg2-tiny'])('%s, fp32', (fixture) => {
  let bundle: string;
  beforeAll(async () => {
    bundle = await bundles.make(`${fixture}/hf`, 'fp32', { layersPerGraph: 1 });
  }, 120_000);

  async function expectGoldens(device: string): Promise<void> {
    const recording = await readRecording(`fixtures/${fixture}`);
    const { runner, metadata, dispose } = await openBundle(bundle, device);
    try {
      const report = await verifyProgram({ candidate: runner, ...recording, metadata, precision: 'fp32' });
      expectWithinRounding(report, TFJS_LIMIT);
      for (const output of [
        'greedy tokens',
        'suffix at once = token by token',
        'row 0 in the batch = alone',
        'prompt sees ahead',
      ])
        expect(report.checks.map((check) => check.output)).toContain(output);
      expect(report.passed, reportText(report)).toBe(true);
    } finally {
      await dispose();
    }
  }

  it.each(['cpu', 'wasm'])(
    'computes on %s what was recorded: image features, logits, a left-padded batch, greedy tokens',
    (device) => expectGoldens(device),
    300_000,
  );
  // pg2-tiny, and codes: tfjs.slow.test.ts; the packed op alone: backends/tfjs/packed
  if (fixture === 'pg1-tiny')
    itOnGpu(
      'computes on webgpu what was recorded',
      async () => {
        expectWithinRounding(
          await verifyOnDevice(bundle, 'webgpu', await readRecording(`fixtures/${fixture}`)),
          TFJS_LIMIT,
        );
      },
      600_000,
    );

  it('agrees at every stage', async () => {
    const recording = await readRecording(`fixtures/${fixture}`);
    const [verifyCase] = recording.cases;
    const recorded = recording.reference.outcomes.get(verifyCase!.name)!.stages!;
    const names = { vision_encoder: Object.keys(recorded.vision), decoder: Object.keys(recorded.prefill) };
    const model = await openBundle(bundle, 'cpu');
    try {
      const outcome = await runCase(model, { ...verifyCase!, maxNewTokens: 0 }, { stages: names });
      const compared = compareStages(verifyCase!, outcome.stages!, recorded, names, TOLERANCES.fp32(model.metadata));
      expect(compared).toHaveLength(names.vision_encoder.length + 2 * names.decoder.length);
      for (const { phase, stage, relativeL2 } of compared) expect(relativeL2, `${phase} ${stage}`).toBeLessThan(1e-5);
    } finally {
      await model.dispose();
    }
  }, 300_000);
});

/**
 * Sizes that share no power of two: rows of codes are filled up, and no kernel may take what fills them for a column.
 */
describe('pg2-wide', () => {
  it.each<readonly [Precision, string, string]>([
    ['fp32', 'std', 'wasm'],
    ['int8', 'std', 'cpu'],
    ['int8', 'packed', 'wasm'],
    ['int4', 'packed', 'cpu'],
    ['nf4', 'packed', 'wasm'],
  ])(
    '%s %s computes on %s what its weights say',
    async (precision, target, device) => {
      await expectTfjsVerified(await bundles.make('pg2-wide/hf', precision, { target }), device);
    },
    300_000,
  );
});

describe.each<readonly [Precision, string]>([
  ['fp16', 'std'],
  ['int8', 'std'],
  ['int8', 'packed'],
  ['int4', 'packed'],
  ['nf4', 'packed'],
])('pg1-tiny, %s %s', (precision, target) => {
  const expectOn = async (device: string) =>
    expectTfjsVerified(await bundles.make('pg1-tiny/hf', precision, { target }), device);

  // on the cpu, which takes three times as long: tfjs.slow.test.ts
  it.each(['wasm'])(
    'computes on %s what its weights say, and is verified by what the manifest names',
    (device) => expectOn(device),
    300_000,
  );
});
