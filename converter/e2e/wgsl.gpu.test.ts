import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect } from 'vitest';
import { load } from '../../backends/wgsl/runtime/index.ts';
import { bundleDevice } from '../../backends/wgsl/testing/bundle_device.ts';
import { compareStages } from '../../verify/divergence.ts';
import { itOnGpu } from '../../verify/environment/requirement.ts';
import { generateAll } from '../../verify/generate.ts';
import { reportText } from '../../verify/report.ts';
import { runCase } from '../../verify/run_case.ts';
import { TOLERANCES, type Precision } from '../../verify/tolerances.ts';
import { verifyProgram } from '../../verify/verify.ts';
import { openBundle, type BundleModel } from '../bundle/open_bundle.ts';
import { convert } from '../compile/convert.ts';
import type { ConvertOptions } from '../compile/convert_options.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { verifyOnDevice } from '../testing/on_device.ts';
import { readRecording, type Recording } from '../testing/recording.ts';
import { expectWithinRounding } from '../testing/rounding.ts';

/*
 * Bundles of shaders on the software GPU, held against what both original implementations recorded. A bundle is opened
 * once: compiling its shaders takes longer than running them.
 */

/** Of the contract: fp32 bundles are within it of the goldens. */
const LIMIT = 1e-4;
let root: string;
let made = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'pgconv-wgsl-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const make = async (checkpoint: string, precision: Precision, options: Partial<ConvertOptions> = {}) =>
  (
    await convert(
      {
        checkpoint: `fixtures/${checkpoint}`,
        backend: 'wgsl',
        precision,
        out: join(root, `b${made++}`),
        verify: false,
        ...options,
      },
      silentReporter,
    )
  ).out;

describe.each(['pg1-tiny', 'pg2-tiny'])('%s, fp32', (fixture) => {
  let recording: Recording;
  let made: Promise<string> | undefined;
  const bundle = () => (made ??= make(`${fixture}/hf`, 'fp32'));
  let opened: Promise<BundleModel> | undefined;
  const open = () => (opened ??= bundle().then((dir) => openBundle(dir)));

  beforeAll(async () => {
    recording = await readRecording(`fixtures/${fixture}`);
  });
  afterAll(async () => (await opened)?.dispose());

  itOnGpu(
    'computes what was recorded: image features, logits, a left-padded batch; alone as in the batch, at once as token by token',
    async () => {
      const { runner, metadata } = await open();
      const report = await verifyProgram({ candidate: runner, ...recording, metadata, precision: 'fp32' });
      expectWithinRounding(report, LIMIT);
      for (const output of [
        'suffix at once = token by token',
        'row 0 in the batch = alone',
        'suffix does not see ahead',
        'prompt sees ahead',
      ])
        expect(report.checks.map((check) => check.output)).toContain(output);
      expect(report.passed, reportText(report)).toBe(true);
    },
    600_000,
  );

  itOnGpu(
    'agrees at every stage',
    async () => {
      const [verifyCase] = recording.cases;
      const recorded = recording.reference.outcomes.get(verifyCase!.name)!.stages!;
      const names = { vision_encoder: Object.keys(recorded.vision), decoder: Object.keys(recorded.prefill) };
      const model = await open();
      const outcome = await runCase(model, { ...verifyCase!, maxNewTokens: 0 }, { stages: names });
      const compared = compareStages(verifyCase!, outcome.stages!, recorded, names, TOLERANCES.fp32(model.metadata));
      expect(compared).toHaveLength(names.vision_encoder.length + 2 * names.decoder.length);
      expect(compared.length).toBeGreaterThan(8);
      for (const { phase, stage, relativeL2 } of compared) expect(relativeL2, `${phase} ${stage}`).toBeLessThan(1e-5);
    },
    600_000,
  );

  itOnGpu(
    'says the recorded tokens, padded or not',
    async () => {
      for (const verifyCase of recording.cases) {
        const { tokens } = recording.reference.outcomes.get(verifyCase.name)!.greedy!;
        expect(
          await generateAll(await open(), verifyCase, { maxNewTokens: verifyCase.maxNewTokens, stopTokenIds: [] }),
        ).toEqual(tokens);
      }
    },
    600_000,
  );

  itOnGpu(
    'a padded batch says the recorded tokens, however many are ahead',
    async () => {
      const { cases, reference } = recording;
      const dir = await bundle();
      const model = await load(dir, { device: await bundleDevice(dir) });
      const { imageSize, imageTokenId } = model.facts;
      for (const { name, inputIds, attentionMask, pixelValues, imageTokenId: recorded, maxNewTokens } of cases) {
        const [batch, length] = inputIds.shape as [number, number];
        const rows = Array.from({ length: batch }, (_, row) =>
          Array.from({ length }, (_, t) => row * length + t).flatMap((i) =>
            attentionMask.data[i] === 0 ? [] : [inputIds.data[i] === recorded ? imageTokenId : inputIds.data[i]!],
          ),
        );
        const pixels = 3 * imageSize * imageSize;
        const pictures = Array.from({ length: pixelValues.shape[0]! }, (_, i) =>
          Float32Array.from(pixelValues.data.subarray(i * pixels, (i + 1) * pixels)),
        );
        const images = [];
        for (const picture of pictures) images.push(await model.encodePixels(picture));
        await model.prefill({ rows, images, maxNewTokens });
        const tokens: (number | undefined)[][] = rows.map(() => []);
        for await (const step of model.decode({ stopTokenIds: [], ahead: 3 }))
          step.forEach((token, row) => tokens[row]!.push(token));
        expect(tokens, name).toEqual(reference.outcomes.get(name)!.greedy!.tokens);
        for (const features of images) features.destroy();
      }
      await model.dispose();
    },
    600_000,
  );

  // other bytes, since its table has another count of rows; the shaders that differ are those that look rows up
  itOnGpu(
    'so does the bundle of the big_vision checkpoint',
    async () => {
      expectWithinRounding(
        await verifyOnDevice(await make(`${fixture}/bv_f32.npz`, 'fp32'), 'webgpu', recording),
        LIMIT,
      );
    },
    600_000,
  );
});
