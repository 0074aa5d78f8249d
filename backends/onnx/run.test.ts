import { cp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import { tensorOf } from '../../ir/tensor.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import { BackendError } from '../error.ts';
import { nodePlacement } from './node_placement.ts';
import { open } from './run.ts';
import { emittedBundle } from './testing/emitted_bundle.ts';
import { decoderInputs, expectSame, F16, F32, fp16 } from './testing/tiny_decoder.ts';
import { programOf, tinyEmbed, tinyProgram } from '../testing/tiny_program.ts';

const steps = [
  { batch: 2, seq: 5, past: 0, keep: 0 },
  { batch: 1, seq: 1, past: 7, keep: 1 },
  { batch: 3, seq: 3, past: 4, keep: 2 },
  { batch: 1, seq: 1, past: 0, keep: 0 },
];

describe('a bundle in onnxruntime on the cpu', () => {
  const program = tinyProgram();
  const reference = evaluatorRunner(program);

  it('decodes prefills and steps of any batch', async () => {
    await using bundle = await emittedBundle(program);
    const runner = await open(bundle.dir);
    for (const { batch, seq, past, keep } of steps)
      await expectSame(runner, reference, 'decoder', decoderInputs(batch, seq, past, keep), F32);
    await runner.dispose();
  });

  it('decodes in f16 with a cache in f16, and says so', async () => {
    const narrow = fp16(program);
    await using bundle = await emittedBundle(narrow, 'fp16');
    const runner = await open(bundle.dir);
    const dtypes = await runner.inputDtypes('decoder');
    expect(dtypes).toMatchObject({ inputs_embeds: 'f32', attention_mask: 'i64', 'past_key_values.1.value': 'f16' });
    expect(dtypes).toEqual(await evaluatorRunner(narrow).inputDtypes('decoder'));
    for (const { batch, seq, past, keep } of steps)
      await expectSame(runner, evaluatorRunner(narrow), 'decoder', decoderInputs(batch, seq, past, keep, 'f16'), F16);
    await runner.dispose();
  });

  it('encodes pictures and ids', async () => {
    await using bundle = await emittedBundle(program);
    const runner = await open(bundle.dir);
    await expectSame(runner, reference, 'vision_encoder', { pixel_values: randomTensor('f32', [3, 3, 8, 8], 1) }, F32);
    await expectSame(
      runner,
      reference,
      'embed_tokens',
      { input_ids: tensorOf('i64', [2, 3], [0, 23, 5, 5, 1, 2]) },
      F32,
    );
    await runner.dispose();
  });

  it('returns the asked stages beside the outputs: those inside, an input, an output', async () => {
    await using bundle = await emittedBundle(program);
    const runner = await open(bundle.dir);
    await expectSame(runner, reference, 'decoder', decoderInputs(2, 3, 0, 0), F32, ['lm.0', 'lm.1', 'lm.2']);
    await expectSame(runner, reference, 'decoder', decoderInputs(1, 1, 2, 0), F32, ['lm.1']);
    await expectSame(runner, reference, 'vision_encoder', { pixel_values: randomTensor('f32', [1, 3, 8, 8], 1) }, F32, [
      'vit.0',
      'image_features',
    ]);
    const plain = await runner.run('decoder', decoderInputs(1, 1, 2, 0));
    expect(Object.keys(plain)).not.toContain('lm.1');
    await runner.dispose();
  });

  it('finds weights in many data files, with stages too', async () => {
    await using bundle = await emittedBundle(program, 'fp32', 3000);
    const files = bundle.artifact.files.map((f) => f.path).filter((path) => path.startsWith('onnx/decoder'));
    expect(files.slice(0, 3)).toEqual([
      'onnx/decoder_model_merged.onnx',
      'onnx/decoder_model_merged.onnx_data',
      'onnx/decoder_model_merged.onnx_data_1',
    ]);
    expect(files.length).toBeGreaterThan(8);
    const runner = await open(bundle.dir);
    await expectSame(runner, reference, 'decoder', decoderInputs(1, 3, 0, 0), F32);
    await expectSame(runner, reference, 'decoder', decoderInputs(1, 3, 0, 0), F32, ['lm.1']);
    await runner.dispose();
  });

  it('takes the precision of the manifest where several lie in one folder', async () => {
    await using bundle = await emittedBundle(fp16(program), 'fp16');
    await using wide = await emittedBundle(program);
    await cp(join(wide.dir, 'onnx'), join(bundle.dir, 'onnx'), { recursive: true });
    const cacheDtype = async () => {
      const runner = await open(bundle.dir);
      return (await runner.inputDtypes('decoder'))['past_key_values.0.key'];
    };
    expect(await cacheDtype()).toBe('f32');
    await writeFile(join(bundle.dir, 'manifest.json'), JSON.stringify({ precision: 'fp16' }));
    expect(await cacheDtype()).toBe('f16');
  });

  it('tells where its nodes ran', async () => {
    await using bundle = await emittedBundle(program);
    const placement = await nodePlacement(bundle.dir, 'vision_encoder', 'cpu', {
      pixel_values: randomTensor('f32', [1, 3, 8, 8], 1),
    });
    expect([...placement.keys()]).toEqual(['CPU']);
    expect(placement.get('CPU')!.get('Conv')).toBe(1);
  });

  it('can be opened again after dispose', async () => {
    await using bundle = await emittedBundle(program);
    const runner = await open(bundle.dir);
    const inputs = { input_ids: tensorOf('i64', [1, 1], [3]) };
    const first = await runner.run('embed_tokens', inputs);
    await runner.dispose();
    await runner.dispose();
    expect(await runner.run('embed_tokens', inputs)).toEqual(first);
    await runner.dispose();
  });
});

describe('what cannot be run is refused by name', () => {
  const failureOf = async (promise: Promise<unknown>): Promise<BackendError> => {
    const failure = await promise.catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(BackendError);
    return failure as BackendError;
  };

  it('a device, a folder, a graph, a manifest', async () => {
    expect((await failureOf(open('/', { device: 'tpu' }))).message).toContain('"tpu"');
    await using bundle = await emittedBundle(programOf(tinyEmbed()));
    const runner = await open(bundle.dir);
    expect(await failureOf(runner.run('decoder', {}))).toMatchObject({
      code: 'bundle-missing',
      place: { file: join(bundle.dir, 'onnx') },
    });
    expect((await failureOf((await open(join(bundle.dir, 'absent'))).run('embed_tokens', {}))).code).toBe(
      'bundle-missing',
    );
    const manifest = join(bundle.dir, 'manifest.json');
    const damaged = await open(bundle.dir);
    await writeFile(manifest, '{');
    expect(await failureOf(damaged.run('embed_tokens', {}))).toMatchObject({
      code: 'bundle-damaged',
      place: { file: manifest },
    });
    await rm(manifest);
    expect((await failureOf(damaged.run('embed_tokens', {}))).code).toBe('bad-input');
  });

  it('inputs that are absent, of another dtype, of a wrong size or shape', async () => {
    await using bundle = await emittedBundle(programOf(tinyEmbed()));
    const runner = await open(bundle.dir);
    expect(await failureOf(runner.run('embed_tokens', {}))).toMatchObject({
      code: 'bad-input',
      place: { tensor: 'input_ids' },
    });
    expect(
      (await failureOf(runner.run('embed_tokens', { input_ids: tensorOf('f32', [1, 1], [1]) }))).message,
    ).toContain('is f32, not i64');
    expect(
      (await failureOf(runner.run('embed_tokens', { input_ids: { ...tensorOf('i64', [1, 1], [1]), shape: [2, 2] } })))
        .message,
    ).toContain('1 values');
    expect(await failureOf(runner.run('embed_tokens', { input_ids: tensorOf('i64', [1], [1]) }))).toMatchObject({
      code: 'runtime-failed',
    });
    await runner.dispose();
  });

  it('damaged files, and a later run finds them repaired', async () => {
    await using bundle = await emittedBundle(programOf(tinyEmbed()));
    const [model, data] = ['embed_tokens.onnx', 'embed_tokens.onnx_data'].map((name) =>
      join(bundle.dir, 'onnx', name),
    ) as [string, string];
    const runner = await open(bundle.dir);
    const run = () => runner.run('embed_tokens', { input_ids: tensorOf('i64', [1, 1], [1]) });
    const good = await readFile(data);
    await truncate(data, 100);
    expect(await failureOf(run())).toMatchObject({ code: 'runtime-failed', place: { file: model } });
    await writeFile(data, good);
    expect(Object.keys(await run())).toEqual(['inputs_embeds']);
    await runner.dispose();
    await truncate(model, 50);
    expect(await failureOf(run())).toMatchObject({ code: 'bundle-damaged', place: { file: model } });
  });
});
