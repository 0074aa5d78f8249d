import { copyFile, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { mapData } from '../../ir/views/map.ts';
import { reportText } from '../../verify/report.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { writeSafetensors } from '../checkpoints/safetensors_writer.ts';
import { convert } from '../compile/convert.ts';
import type { ConvertOptions } from '../compile/convert_options.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { verifyBundle } from '../compile/verify_bundle.ts';
import { writeFewCases } from '../testing/few_cases.ts';

/*
 * Every option of precision through convert, and again through verify, which finds what to hold the bundle against in
 * the manifest.
 */

const GOLDEN = 'fixtures/pg1-tiny/golden.safetensors';
const root = await mkdtemp(join(tmpdir(), 'pgconv-precision-'));
const shown = await writeFewCases('fixtures/shapes', join(root, 'shown'), 12);
let made = 0;
afterAll(() => rm(root, { recursive: true, force: true }));

const make = (options: Partial<ConvertOptions>) =>
  convert(
    {
      checkpoint: 'fixtures/shapes',
      backend: 'onnx',
      precision: 'int4',
      out: join(root, `b${made++}`),
      verify: false,
      ...options,
    },
    silentReporter,
  );
const graphs = ({ manifest }: Awaited<ReturnType<typeof make>>) =>
  manifest.files.filter(({ path }) => path.includes('.onnx')).map(({ sha256 }) => sha256);

describe('codes', () => {
  test.each<[string, Partial<ConvertOptions>]>([
    ['int8', { precision: 'int8' }],
    ['int8, one scale a row, by ONNX’s own ops', { precision: 'int8', perChannel: true, quantizedOps: 'qdq' }],
    ['int4 without help, rtn', { mixed: 'none', algorithm: 'rtn' }],
    ['q4f16, calibrated', { precision: 'q4f16', mixed: 'none', calibrate: shown }],
    ['int4, gptq', { mixed: 'none', algorithm: 'gptq', calibrate: shown }],
  ])('%s: verified, and again by the manifest', async (_, options) => {
    const { out, verification, manifest } = await make({ ...options, verify: true });
    expect(verification!.passed, reportText(verification!)).toBe(true);
    for (const [name, value] of Object.entries(options))
      if (name !== 'precision') expect(manifest.options).toHaveProperty(name, value);
    const again = await verifyBundle({ bundle: out }, silentReporter);
    expect(again.passed, reportText(again)).toBe(true);
    expect(again.checks.map(({ output }) => output)).toContain('logits against the original');
    // Codes that activations chose cannot be made again without them: the original alone is left.
    expect(again.reference === undefined).toBe('calibrate' in options);
  });

  test('each way of choosing them gives codes of its own', async () => {
    const hashes = await Promise.all(
      [
        {},
        { mixed: 'none' },
        { algorithm: 'rtn' as const },
        { algorithm: 'hqq' as const },
        // without bits that are measured, which takes minutes
        { mixed: 'none', algorithm: 'gptq' as const, calibrate: shown },
        { mixed: 'none', algorithm: 'search' as const, calibrate: shown },
      ].map(async (options) => graphs(await make(options)).join()),
    );
    expect(new Set(hashes).size).toBe(hashes.length);
    // a small model that is shown a folder has GPTQ among its ways unasked
    expect(graphs(await make({ mixed: 'none', calibrate: shown })).join()).toBe(hashes[4]);
    // the built-in pictures look for what overflows, and choose no codes
    expect(graphs(await make({ calibrate: 'default' })).join()).toBe(hashes[0]);
  });

  test('the same bytes for any number of threads', async () => {
    const before = process.env['PGCONV_THREADS'];
    try {
      const hashes: string[] = [];
      for (const threads of ['1', '2', '8']) {
        process.env['PGCONV_THREADS'] = threads;
        hashes.push(graphs(await make({})).join());
      }
      expect(new Set(hashes).size).toBe(1);
    } finally {
      if (before === undefined) delete process.env['PGCONV_THREADS'];
      else process.env['PGCONV_THREADS'] = before;
    }
  });
});

describe('targets', () => {
  test.each([
    ['ort-cpu', 'fp32'],
    ['webgpu', 'fp32'],
    ['ort-cpu', 'fp16'],
    ['ort-cpu', 'bf16'],
    ['ort-cpu', 'int4'],
  ] as const)('%s in %s: verified on the cpu', async (target, precision) => {
    const { out, verification, manifest } = await make({ target, precision, verify: true });
    expect(verification!.passed, reportText(verification!)).toBe(true);
    expect(manifest.files.some(({ path }) => path.startsWith(target === 'webgpu' ? 'onnx/' : 'onnx-ort/'))).toBe(true);
    expect((await verifyBundle({ bundle: out }, silentReporter)).passed).toBe(true);
  });

  test('bf16 is refused with the reason where a target has none', async () => {
    await expect(make({ precision: 'bf16' })).rejects.toMatchObject({ code: 'unsupported_precision', exitCode: 2 });
    await expect(make({ precision: 'bf16' })).rejects.toThrow(
      'neither the CPU nor the WebGPU provider has a product in bf16',
    );
  });
});

test('a recording is the original of a quantized bundle', async () => {
  const { out } = await make({ checkpoint: 'fixtures/pg1-tiny/hf', precision: 'int8' });
  const report = await verifyBundle({ bundle: out, against: GOLDEN }, silentReporter);
  expect(report.reference).toBeUndefined();
  expect(report.passed, reportText(report)).toBe(true);
});

test('codes that were allowed to overflow are made again as they were', async () => {
  const dir = join(root, 'steep');
  const base = await openCheckpoint('fixtures/pg1-tiny/hf');
  const tensors = [...base.tensors].map(([name, data]) => ({
    name,
    data: /layers\.1\.mlp\.down_proj/.test(name) ? mapData(data, (x) => x * 1e9) : data,
  }));
  await mkdir(dir);
  await writeSafetensors(join(dir, 'model.safetensors'), tensors);
  await copyFile('fixtures/pg1-tiny/hf/config.json', join(dir, 'config.json'));
  await base.close();
  await expect(make({ checkpoint: dir, precision: 'int8' })).rejects.toMatchObject({ code: 'overflow' });
  const { out } = await make({ checkpoint: dir, precision: 'int8', allowOverflow: true });
  const report = await verifyBundle({ bundle: out }, silentReporter);
  expect(report.checks.filter(({ output }) => output === 'image_features').every(({ passed }) => passed)).toBe(true);
});

test('choices that mean nothing are refused', async () => {
  await expect(make({ precision: 'fp16', algorithm: 'rtn' })).rejects.toMatchObject({ code: 'no_codes', exitCode: 2 });
  await expect(make({ algorithm: 'gptq', calibrate: 'none' })).rejects.toMatchObject({
    code: 'gptq_without_calibration',
    exitCode: 2,
  });
  await expect(make({ precision: 'fp32', mixed: 'bits.json' })).rejects.toMatchObject({
    code: 'mixed_without_codes',
    exitCode: 2,
  });
});
