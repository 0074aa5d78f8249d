import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, test, vi } from 'vitest';
import type { Backend } from '../../backends/backend.ts';
import { BackendError } from '../../backends/error.ts';
import type * as Registry from '../../backends/index.ts';
import { failureOf } from '../cli/exit.ts';
import { convert } from '../compile/convert.ts';
import { defaultOut, type ConvertOptions } from '../compile/convert_options.ts';
import { readManifest } from '../bundle/manifest.ts';
import { openBundle } from '../bundle/open_bundle.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { tempFolders } from '../testing/bundle.ts';
import { shaderBackend, type ShaderBackend } from '../testing/shader_backend.ts';
import { verifyBundle } from '../compile/verify_bundle.ts';

/*
 * What the converter does for a backend that has no targets, stores f16 and takes float zero points, whatever that
 * backend emits.
 */

let fake: ShaderBackend;
const registry = vi.hoisted(() => ({ wgsl: undefined as unknown }));
vi.mock('../../backends/index.ts', async (original) => ({
  backends: { ...(await original<typeof Registry>()).backends, wgsl: async () => registry.wgsl as Backend },
}));
const WGSL = 'wgsl';
const folder = tempFolders();

beforeEach(() => {
  fake = shaderBackend();
  registry.wgsl = fake;
});

const convertTiny = async (options: Partial<ConvertOptions>, out?: string) =>
  convert(
    {
      checkpoint: 'fixtures/pg1-tiny/hf',
      backend: WGSL,
      precision: 'fp32',
      verify: false,
      out: out ?? join(await folder(), 'bundle'),
      ...options,
    },
    silentReporter,
  );

const weightDtypes = () =>
  new Set(
    fake.emitted
      .at(-1)!
      .program.graphs.flatMap(({ constants }) => constants.flatMap((c) => (c.kind === 'weight' ? [c.data.dtype] : []))),
  );
const valueDtypes = () =>
  new Set(
    fake.emitted
      .at(-1)!
      .program.graphs.flatMap(({ nodes }) =>
        nodes.filter(({ op }) => op !== 'gather').flatMap(({ outputs }) => outputs.map(({ type }) => type.dtype)),
      ),
  );

test('the bundle: what the backend emits, and beside it tokenizer, processor, README and manifest', async () => {
  const { manifest, out } = await convertTiny({ checkpoint: 'fixtures/shapes/hf' });
  expect(manifest).toMatchObject({ backend: 'wgsl', precision: 'fp32' });
  expect(manifest.files.map(({ path }) => path)).toEqual([
    'README.md',
    'decoder.ir',
    'embed_tokens.ir',
    'model.json',
    'preprocessor_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'vision_encoder.ir',
    'weights.bin',
  ]);
  for (const option of ['target', 'quantizedOps', 'accuracyLevel']) expect(manifest.options).not.toHaveProperty(option);
  expect(fake.emitted[0]!.options).toEqual({ precision: 'fp32' });
  expect((await readdir(out)).includes('manifest.json')).toBe(true);
  expect(defaultOut({ checkpoint: 'a/shapes', backend: WGSL, precision: 'int4' })).toMatch(/shapes-wgsl-int4$/);
});

test('int4: zero points are floats, and verification holds the bundle to those very codes', async () => {
  const { out } = await convertTiny({ precision: 'int4', mixed: 'none' });
  const [decoder] = fake.emitted[0]!.program.graphs.filter(({ name }) => name === 'decoder');
  const zeros = decoder!.constants.flatMap((c) =>
    c.kind === 'weight' && /\.zeros/.test(c.value.name) ? [c.data.dtype] : [],
  );
  expect(zeros.length).toBeGreaterThan(5);
  expect(new Set(zeros)).toEqual(new Set(['f32']));
  const failed = async () =>
    (await verifyBundle({ bundle: out }, silentReporter)).checks
      .filter(({ bounds }) => bounds.some(({ passed }) => !passed))
      .map(({ output }) => output);
  expect(await failed()).toEqual([]);
  registry.wgsl = { ...fake, floatZeros: false };
  expect(await failed()).toEqual(expect.arrayContaining(['image_features', 'prefill logits']));
});

test('fp16: weights are stored in 16 bits, everything is computed in f32, and nothing needs calibration', async () => {
  const { notes, verification } = await convertTiny({ precision: 'fp16', verify: true });
  expect(weightDtypes().has('f16')).toBe(true);
  expect(valueDtypes().has('f16')).toBe(false);
  expect(notes.filter((note) => note.startsWith('fp16'))).toEqual([]);
  expect(verification!.passed).toBe(true);
});

test.each<[Partial<ConvertOptions>, string, RegExp, RegExp]>([
  [{ precision: 'bf16' }, 'unsupported_precision', /^wgsl has no bf16: WGSL has no bf16$/, /choose fp16 or fp32/],
  [{ precision: 'q4f16' }, 'unsupported_precision', /^wgsl has no q4f16: activations are f32/, /choose int4/],
  [{ target: 'webgpu' }, 'idle_option', /--target/, /--to onnx/],
  [{ precision: 'int8', quantizedOps: 'qdq' }, 'idle_option', /--quant-ops/, /--to onnx/],
  [{ precision: 'int8', accuracyLevel: 4 }, 'idle_option', /--accuracy-level/, /--to onnx/],
  [{ precision: 'int8', perChannel: true }, 'idle_option', /--per-channel/, /--to onnx/],
  [{ checkpoint: 'fixtures/colpali-tiny/hf' }, 'unsupported_model', /ColPali/, /--to onnx/],
])('%o is refused with what to use, and leaves nothing', async (options, code, message, hint) => {
  const parent = await folder();
  await expect(convertTiny(options, join(parent, 'bundle'))).rejects.toThrow(
    expect.objectContaining({
      code,
      exitCode: 2,
      message: expect.stringMatching(message),
      place: { hint: expect.stringMatching(hint) },
    }),
  );
  expect(await readdir(parent)).toEqual([]);
  expect(fake.emitted).toEqual([]);
});

test('without its runtime a bundle could not be verified: that is said before any work', async () => {
  const missing: Record<string, string> = { webgpu: 'WebGPU finds no GPU here', software: 'no software GPU is here' };
  const ready = async (device: string) => Promise.reject(new BackendError('runtime-missing', missing[device]!));
  registry.wgsl = { ...fake, ready };
  const parent = await folder();
  const error = await convertTiny({ verify: true }, join(parent, 'bundle')).catch((e: unknown) => e);
  expect(failureOf(error)).toMatchObject({
    exitCode: 2,
    report: {
      code: 'runtime_missing',
      message: 'WebGPU finds no GPU here; and no software GPU is here',
      hint: expect.stringMatching(/^convert with --no-verify/),
    },
  });
  expect(fake.emitted).toEqual([]);
  expect(await readdir(parent)).toEqual([]);
});

test('what could not be compared is kept beside its place, and what differs is not', async () => {
  const open = async () => Promise.reject(new BackendError('runtime-failed', 'the device was lost'));
  registry.wgsl = { ...fake, open };
  const parent = await folder();
  for (const kept of ['bundle.unverified', 'bundle.unverified-2']) {
    await expect(convertTiny({ verify: true }, join(parent, 'bundle'))).rejects.toThrow('the device was lost');
    expect((await readManifest(join(parent, kept))).backend).toBe('wgsl');
  }
  expect((await readdir(parent)).toSorted()).toEqual(['bundle.unverified', 'bundle.unverified-2']);
});

test('a device of another backend is refused with those of this one', async () => {
  const { out } = await convertTiny({});
  await expect(openBundle(out, 'cpu')).rejects.toThrow(
    expect.objectContaining({
      code: 'unknown_device',
      exitCode: 2,
      message: 'wgsl has no device "cpu"',
      place: { hint: 'choose one of webgpu, software, software:lavapipe, browser' },
    }),
  );
  const model = await openBundle(out, 'webgpu');
  expect(model.metadata.layers).toBeGreaterThan(1);
  await model.dispose();
});
