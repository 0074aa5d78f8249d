import { copyFile, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Runner } from '../../backends/backend.ts';
import { findBackend } from '../../backends/find_backend.ts';
import { writtenArtifact } from '../../backends/testing/written_artifact.ts';
import { load } from '../../backends/tfjs/driver/index.ts';
import { nodeTfjs } from '../../backends/tfjs/node_tfjs.ts';
import { programOf } from '../../backends/testing/tiny_program.ts';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import type { Program } from '../../ir/graph.ts';
import { tensorData, tensorOf, type TensorData } from '../../ir/tensor.ts';
import { concatRows } from '../../ir/views/concat.ts';
import { sliceRows } from '../../ir/views/select.ts';
import { checkMasks, maskCodes } from '../../verify/masks.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { openCheckpoint } from '../checkpoints/index.ts';
import { convert } from '../compile/convert.ts';
import { verifyBundle } from '../compile/verify_bundle.ts';
import type { QualityReport } from '../quality/report.ts';
import { maskDecoder, readMaskDecoder } from '../models/paligemma/mask_decoder.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { maskErrors, MASK_LIMIT } from '../testing/mask_goldens.ts';
import { pgconv } from '../testing/command_line.ts';
import { printedOutput } from '../testing/printed_output.ts';
import { TOLERANCES, type Precision } from '../../verify/tolerances.ts';

/*
 * Masks: the decoder against what big_vision's own makes of the same codes (fixtures/masks), and whole answers of a
 * model that segments (fixtures/segments) as Hugging Face gives them.
 */

describe('the decoder alone makes the original’s masks', () => {
  // on GPUs: masks.gpu.test.ts
  test.each<readonly [string, string]>([
    ['onnx', 'cpu'],
    ['tfjs', 'cpu'],
    ['tfjs', 'wasm'],
  ])('%s on %s, fp32', async (backend, device) => {
    expect((await maskErrors(backend, device)).maxAbs).toBeLessThan(MASK_LIMIT);
  });

  test.each<readonly [string, string, Precision]>([
    ['onnx', 'cpu', 'fp16'],
    ['tfjs', 'wasm', 'fp16'],
  ])('%s on %s, %s', async (backend, device, precision) => {
    const { relativeL2 } = await maskErrors(backend, device, precision);
    expect(relativeL2).toBeLessThan(TOLERANCES.fp16({ layers: 1, hiddenSize: 1 }).masks.at(-1)!.atMost!);
  });
});

/** Of one channel. */
const pixelsOf = (file: string) => sharp(file).toColourspace('b-w').raw().toBuffer();

describe('answers to “segment …”', () => {
  const SEGMENTS = 'fixtures/segments';
  const QUESTION = ['--image', `${SEGMENTS}/images/000.png`, '--prompt', 'segment blue square'];
  interface Box {
    readonly label: string;
    readonly mask?: { readonly size: readonly number[]; readonly counts: string };
    readonly file?: string;
  }
  let root: string;
  let expected: string;
  const bundle = (name: string) => join(root, name);

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'pgconv-segments-'));
    const { cases } = JSON.parse(await readFile(`${SEGMENTS}/eval.json`, 'utf8')) as { cases: { text: string }[] };
    expected = cases[0]!.text;
    const common = { checkpoint: `${SEGMENTS}/hf`, precision: 'fp32', verify: false } as const;
    const maskDecoder = `${SEGMENTS}/vae-oid.npz`;
    await convert({ ...common, backend: 'onnx', maskDecoder, out: bundle('onnx') }, silentReporter);
    await convert({ ...common, backend: 'tfjs', maskDecoder, out: bundle('tfjs') }, silentReporter);
    await convert({ ...common, backend: 'onnx', out: bundle('boxes') }, silentReporter);
  });
  afterAll(() => rm(root, { recursive: true, force: true }));

  test('run gives a table, a drawing, masks as files and in COCO’s code, all of one mask', async () => {
    const [drawn, masks] = [join(root, 'drawn.png'), join(root, 'masks')];
    const plain = await pgconv('run', bundle('onnx'), ...QUESTION, '--draw', drawn, '--masks', masks);
    expect(plain.code, plain.err).toBe(0);
    expect(plain.out).toContain(expected);
    const area = Number(/blue square │.*│ +(\d+) │/.exec(plain.out)![1]);
    const file = join(masks, '00-blue-square.png');
    const mask = await pixelsOf(file);
    const truth = await pixelsOf(`${SEGMENTS}/masks/000.png`);
    expect(mask.filter((value) => value === 255).length).toBe(area);
    const both = mask.filter((value, i) => value > 0 && truth[i]! > 0).length;
    const either = mask.filter((value, i) => value > 0 || truth[i]! > 0).length;
    expect(both / either).toBeGreaterThan(0.8);
    // the picture is tinted where the mask is, and nowhere else but for the box and its label
    const [before, after] = await Promise.all(
      [`${SEGMENTS}/images/000.png`, drawn].map((path) => sharp(path).removeAlpha().raw().toBuffer()),
    );
    const changed = (at: number) => [0, 1, 2].some((c) => before![3 * at + c] !== after![3 * at + c]);
    expect(changed(30 * 112 + 15)).toBe(true);
    expect(changed(80 * 112 + 80)).toBe(false);

    const again = await pgconv('run', bundle('onnx'), ...QUESTION, '--masks', masks);
    expect(again.code).toBe(2);
    expect(again.err).toContain('folder_not_empty');
    const json = await pgconv('run', bundle('tfjs'), ...QUESTION, '--json', '--masks', join(root, 'more'));
    const { boxes } = printedOutput(json.out, 'run') as { readonly boxes: readonly Box[] };
    expect(boxes).toEqual([
      {
        label: 'blue square',
        y0: 0,
        x0: 0,
        y1: 56,
        x1: 56,
        mask: { size: [112, 112], counts: expect.any(String) as string },
        file: join(root, 'more', '00-blue-square.png'),
      },
    ]);
    // by another backend the same pixels
    expect(await pixelsOf(boxes[0]!.file!)).toEqual(mask);
  });

  test('without a decoder there are boxes, and it is said where masks come from', async () => {
    const { code, out, err } = await pgconv('run', bundle('boxes'), ...QUESTION, '--json');
    expect(code).toBe(0);
    expect(err).toContain('--mask-decoder');
    const { boxes } = printedOutput(out, 'run') as { readonly boxes: readonly Box[] };
    expect(boxes).toMatchObject([{ label: 'blue square' }]);
    expect(boxes[0]).not.toHaveProperty('mask');
    const asked = await pgconv('run', bundle('boxes'), ...QUESTION, '--masks', join(root, 'none'));
    expect(asked.err).toMatch(/^masks: none, for the bundle has no mask decoder: convert with --mask-decoder$/m);
    expect(await readFile(join(bundle('boxes'), 'README.md'), 'utf8')).toContain('vae-oid.npz');
    expect(await readFile(join(bundle('onnx'), 'README.md'), 'utf8')).toContain('mask_decoder.onnx');
  });

  test('pgconv/tfjs yields objects with masks', async () => {
    const model = await load(bundle('tfjs'), { tf: await nodeTfjs('wasm') });
    try {
      const objects = [];
      const options = { image: `${SEGMENTS}/images/000.png`, prompt: 'segment blue square' };
      for await (const object of model.generateObjects(options)) objects.push(object);
      expect(objects).toMatchObject([{ name: 'blue square', box: { y0: 0, x0: 0, y1: 512, x1: 512 } }]);
      const [{ codes, mask }] = objects as [(typeof objects)[number]];
      expect(mask).toHaveLength(64 * 64);
      expect((await model.decodeMasks([codes!]))[0]).toEqual(mask);
    } finally {
      model.dispose();
    }
  });

  test('quality judges masks: a bundle’s own decoder where it has one, and another codebook misses the target', async () => {
    const planted = { maskDecoder: 'fixtures/masks/vae-oid.npz', out: bundle('planted') };
    await convert(
      { checkpoint: `${SEGMENTS}/hf`, precision: 'fp32', verify: false, backend: 'onnx', ...planted },
      silentReporter,
    );
    const { cases } = JSON.parse(await readFile(`${SEGMENTS}/eval.json`, 'utf8')) as { cases: { iou: number }[] };
    const expected = (cases[0]!.iou + cases[1]!.iou) / 2;
    const samples = [
      '--samples',
      `${SEGMENTS}/eval.json`,
      '--limit',
      '2',
      '--dtypes',
      'fp32',
      '--out',
      join(root, 'q'),
    ];
    const bundles = ['boxes', 'planted'].flatMap((name) => ['--bundle', bundle(name)]);
    const decoder = ['--mask-decoder', `${SEGMENTS}/vae-oid.npz`];
    const page = join(root, 'page.md');
    const rows = [...samples, ...bundles, ...decoder, '--markdown', page, '--json'];
    const { code, out, err } = await pgconv('quality', `${SEGMENTS}/hf`, ...rows);
    expect(code, err).toBe(1);
    const report = printedOutput(out, 'quality') as QualityReport;
    expect(report.cases).toMatchObject({ count: 2, withMasks: 2 });
    expect(report.reference.tasks.maskIou).toBe(1);
    expect(report.reference.tasks.maskIouTruth).toBeCloseTo(expected, 5);
    const byLabel = new Map(report.variants.map((variant) => [variant.label, variant]));
    expect([...byLabel.keys()].toSorted()).toEqual(['boxes', 'fp32', 'planted']);
    for (const label of ['fp32', 'boxes']) {
      const { passed, tasks } = byLabel.get(label)!;
      expect([label, passed]).toEqual([label, true]);
      expect(tasks.maskIouTruth).toBeCloseTo(expected, 5);
    }
    const { tasks, verdicts } = byLabel.get('planted')!;
    expect(tasks.boxIou).toBe(1);
    expect(tasks.maskIouTruth).toBeLessThan(expected - 0.1);
    expect(verdicts.filter(({ passed }) => !passed).map(({ metric }) => metric)).toEqual(['maskDrop']);
    const markdown = await readFile(page, 'utf8');
    const figures = (x: (typeof tasks)['maskIou'], y: (typeof tasks)['maskIou']) =>
      `${x!.toFixed(3)} / ${y!.toFixed(3)}`;
    expect(markdown).toMatch(new RegExp(`^\\| fp32 .*\\| ${figures(1, expected)} \\|`, 'm'));
    expect(markdown).toContain(`| **${figures(tasks.maskIou, tasks.maskIouTruth)}** |`);
    expect(markdown).toContain(`mIoU of its masks is ${expected.toFixed(3)} on 2 cases`);
    expect(markdown).toMatch(/^- \*\*mask IoU\*\*: /m);
    expect(markdown).toMatch(/^- missed: planted: maskDrop is /m);

    const without = await pgconv('quality', `${SEGMENTS}/hf`, ...samples);
    expect(without.code, without.err).toBe(0);
    expect(without.out).toContain('box IoU');
    expect(without.out).not.toMatch(/mask/i);
  });

  test('a decoder that was moved is named, and verified with where it is', async () => {
    const [before, after] = [join(root, 'here.npz'), join(root, 'there.npz')];
    await copyFile(`${SEGMENTS}/vae-oid.npz`, before);
    const out = join(root, 'moved');
    const common = { checkpoint: `${SEGMENTS}/hf`, backend: 'onnx', precision: 'fp16', verify: false } as const;
    await convert({ ...common, maskDecoder: before, out }, silentReporter);
    await rename(before, after);
    await expect(verifyBundle({ bundle: out }, silentReporter)).rejects.toMatchObject({
      code: 'no_reference',
      place: { file: before, hint: expect.stringContaining('--mask-decoder') as string },
    });
    const report = await verifyBundle({ bundle: out, maskDecoder: after }, silentReporter);
    expect(report.passed).toBe(true);
    expect(report.links!.weights.verdict).toBe('held');
    // another decoder is none that was converted
    const other = { bundle: out, maskDecoder: 'fixtures/masks/vae-oid.npz' };
    await expect(verifyBundle(other, silentReporter)).rejects.toMatchObject({ code: 'source_changed' });
    await expect(verifyBundle({ ...other, bundle: bundle('boxes') }, silentReporter)).rejects.toMatchObject({
      code: 'no_masks',
    });
  });

  test('a decoder that is another file is refused before anything is written', async () => {
    const options = (maskDecoder: string) =>
      convert(
        { checkpoint: `${SEGMENTS}/hf`, backend: 'onnx', precision: 'fp32', out: bundle('none'), maskDecoder },
        silentReporter,
      );
    await expect(options('fixtures/shapes/bv_f32.npz')).rejects.toMatchObject({
      code: 'missing_tensor',
      place: { file: expect.stringContaining('bv_f32.npz') as string, tensor: '_vq_vae._embedding' },
    });
    const damaged = join(root, 'short.npz');
    await writeFile(damaged, (await readFile(`${SEGMENTS}/vae-oid.npz`)).subarray(0, 100_000));
    await expect(options(damaged)).rejects.toMatchObject({ place: { file: damaged } });
    await expect(options(join(root, 'nothing.npz'))).rejects.toThrow('no such file');
  });
});

describe('verification', () => {
  let file: Checkpoint;
  let sound: Program;
  /** The evaluator, which computes what is asked twice once. */
  let reference: Runner;
  beforeAll(async () => {
    file = await openCheckpoint('fixtures/masks/vae-oid.npz');
    sound = programWith(() => {});
    const { runTogether: _, ...plain } = evaluatorRunner(sound);
    const known = new Map<string, ReturnType<Runner['run']>>();
    reference = {
      ...plain,
      run(graph, inputs, options) {
        const key = `${inputs['codes']!.shape.join()} ${options?.stages?.join() ?? ''}`;
        const results = known.get(key) ?? plain.run(graph, inputs, options);
        known.set(key, results);
        return results;
      },
    };
  });
  afterAll(() => file.close());

  const programWith = (change: (weights: Map<string, TensorData>) => void): Program => {
    const weights = new Map(readMaskDecoder(file).weights);
    change(weights);
    return programOf(maskDecoder({ weights }));
  };
  const swap = (a: string, b: string) => (weights: Map<string, TensorData>) => {
    const [first, second] = [weights.get(a)!, weights.get(b)!];
    weights.set(a, second).set(b, first);
  };
  const onCpu = async (program: Program): Promise<Runner> => {
    const backend = await findBackend('onnx');
    const { dir, ...written } = await writtenArtifact(backend.emit(program, { precision: 'fp32' }));
    onTestFinished(() => written[Symbol.asyncDispose]());
    const runner = await backend.open(dir);
    onTestFinished(() => runner.dispose());
    return runner;
  };
  const check = async (candidate: Program, other = reference) =>
    checkMasks(
      await onCpu(candidate),
      other,
      TOLERANCES.fp32({ layers: 1, hiddenSize: 1 }),
      sound.graphs[0]!.stages.map(({ name }) => name),
    );

  test('every code is asked once', () => {
    expect([...maskCodes().data].toSorted((a, b) => a - b)).toEqual([...Array(128).keys()]);
  });

  test('a sound decoder passes', async () => {
    const { checks, divergence } = await check(sound);
    expect(checks.map(({ output, passed }) => [output, passed])).toEqual([
      ['masks', true],
      ['masks are numbers', true],
      ['a mask alone = in a batch', true],
    ]);
    expect(divergence).toBeUndefined();
  });

  test('a decoder of weights that are no numbers fails, though both sides compute the same', async () => {
    const broken = programWith((weights) => {
      const bias = weights.get('mask.out.b')!;
      weights.set('mask.out.b', tensorData(tensorOf('f32', bias.shape, [Number.NaN])));
    });
    const { checks } = await check(broken, evaluatorRunner(broken));
    expect(checks.find(({ output }) => output === 'masks are numbers')).toMatchObject({ passed: false });
  });

  test.each([
    ['two kernels of a block exchanged', swap('mask.1.0.w', 'mask.1.1.w'), 'mask.1'],
    ['biases of two blocks exchanged', swap('mask.0.2.b', 'mask.1.2.b'), 'mask.0'],
    [
      'rows of the codes in another order',
      (weights: Map<string, TensorData>) => {
        const codes = weights.get('mask.codes')!;
        const half = codes.shape[0]! / 2;
        weights.set('mask.codes', concatRows([sliceRows(codes, half, 2 * half), sliceRows(codes, 0, half)]));
      },
      'mask.codes',
    ],
  ])('%s: found, and named by stage', async (_, change, stage) => {
    const { checks, divergence } = await check(programWith(change));
    expect(checks[0]!.passed).toBe(false);
    expect(divergence).toMatchObject({ case: 'masks of every code', phase: 'masks', stage });
  });
});
