import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { VerifyReport } from '../../verify/verify.ts';
import { openBundle } from '../bundle/open_bundle.ts';
import { checkBundle } from '../bundle/check_bundle.ts';
import { convert } from '../compile/convert.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { tempFolders } from '../testing/bundle.ts';
import { verifyBundle } from '../compile/verify_bundle.ts';

const folder = tempFolders();
const GOLDEN = 'fixtures/pg1-tiny/golden.safetensors';

async function convertTo(checkpoint: string, precision: 'fp32' | 'fp16', rest: { verify?: boolean } = {}) {
  const out = join(await folder(), 'bundle');
  return convert({ checkpoint, backend: 'onnx', precision, out, ...rest }, silentReporter);
}

/** Every comparison with the reference and with the bundle itself, but the one that wants a difference. */
function expectWithin({ checks }: VerifyReport, limit: number): void {
  const compared = checks.filter((check) => check.metrics.maxAbs !== undefined && check.output !== 'prompt sees ahead');
  expect(compared.length).toBeGreaterThan(8);
  for (const { output, metrics } of compared) expect(metrics.maxAbs, output).toBeLessThanOrEqual(limit);
}

describe('pg1-tiny, fp32', () => {
  test.each(['bv_f32.npz', 'hf'])('%s: what the original implementations recorded, within 1e-4', async (source) => {
    const { out } = await convertTo(`fixtures/pg1-tiny/${source}`, 'fp32', { verify: false });
    const report = await verifyBundle({ bundle: out, against: GOLDEN }, silentReporter);
    expect(report.checks.filter((check) => !check.passed)).toEqual([]);
    const outputs = new Set(report.checks.map((check) => check.output));
    for (const output of ['image_features', 'prefill logits', 'suffix logits', 'greedy logits', 'greedy tokens'])
      expect(outputs).toContain(output);
    expect(new Set(report.checks.map((check) => check.case)).size).toBeGreaterThanOrEqual(2);
    expectWithin(report, 1e-4);
    expect(report.greedyDifferences).toEqual([]);
  });

  test.each(['bv_bf16.npz', 'bv_f16_deflate.npz'])(
    '%s: its own rounding of the weights, within 1e-4, and no longer the golden’s',
    async (source) => {
      const { out, verification } = await convertTo(`fixtures/pg1-tiny/${source}`, 'fp32');
      expect(verification?.passed).toBe(true);
      expectWithin(verification!, 1e-4);
      const report = await verifyBundle({ bundle: out, against: GOLDEN }, silentReporter);
      expect(report.passed).toBe(false);
      expect(report.firstDivergingStage?.stage).toBe('vit.0');
    },
  );
});

test('both layouts of shapes give the same weights, byte for byte', async () => {
  const weights = async (source: string) => {
    const { out } = await convertTo(`fixtures/shapes/${source}`, 'fp16', { verify: false });
    const names = (await readdir(join(out, 'onnx'))).toSorted();
    const hash = async (name: string) => [
      name,
      createHash('sha256')
        .update(await readFile(join(out, 'onnx', name)))
        .digest('hex'),
    ];
    return Promise.all(names.map(hash));
  };
  const [bigVision, huggingFace] = [await weights('bv_f32.npz'), await weights('hf')];
  expect(bigVision.filter(([name]) => name!.includes('_data')).length).toBeGreaterThanOrEqual(3);
  expect(bigVision).toEqual(huggingFace);
});

test('the same input and options give the same bytes', async () => {
  const manifest = async () => (await convertTo('fixtures/pg1-tiny/hf', 'fp16')).manifest;
  const [first, second] = [await manifest(), await manifest()];
  expect(first).toEqual(second);
});

test('shapes, fp16: verified, complete, and its samples answered as by the original', async () => {
  const result = await convertTo('fixtures/shapes', 'fp16');
  expect(result.verification?.passed).toBe(true);
  expect(result.samples.length).toBeGreaterThanOrEqual(3);
  for (const sample of result.samples) expect(sample.answer).toBe(sample.reference);
  expect(result.warnings.join('\n')).toContain('hf');
  const { manifest, unlisted } = await checkBundle(result.out);
  expect(unlisted).toEqual([]);
  expect(manifest.source.files.map((file) => file.path)).toEqual([
    'model-00001-of-00002.safetensors',
    'model-00002-of-00002.safetensors',
    'config.json',
  ]);
  const bundle = await openBundle(result.out);
  expect((await bundle.runner.inputDtypes('decoder'))['past_key_values.0.key']).toBe('f16');
  await bundle.dispose();
});

test('samples that are asked for are answered without verification too', async () => {
  const out = join(await folder(), 'bundle');
  const { verification, samples } = await convert(
    {
      checkpoint: 'fixtures/shapes/hf',
      backend: 'onnx',
      precision: 'fp16',
      out,
      verify: false,
      samples: 'fixtures/shapes/eval.json',
    },
    silentReporter,
  );
  expect(verification).toBeUndefined();
  expect(samples.length).toBeGreaterThanOrEqual(3);
});

test('verify without --against goes back to the checkpoint that was converted', async () => {
  const { out } = await convertTo('fixtures/pg1-tiny/hf', 'fp16', { verify: false });
  const report = await verifyBundle({ bundle: out }, silentReporter);
  expect(report.passed).toBe(true);
  expect(report.reference).toContain('evaluator');
});
