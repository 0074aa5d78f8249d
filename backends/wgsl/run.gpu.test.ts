import { rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import { INT4 } from '../../ir/quantize/scheme.ts';
import { tensorOf, type Tensor } from '../../ir/tensor.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import { programOf, tinyEmbed, tinyProgram } from '../testing/tiny_program.ts';
import { open } from './run.ts';
import { coded, expectSame, expectSameDecoding } from './testing/expect_decoding.ts';
import { emittedBundle } from './testing/emitted_bundle.ts';
import { itOnGpu } from '../testing/gpu.ts';
import { memoryRunner } from './testing/memory_runner.ts';
import { GEMMA_2, tinyGemma } from './testing/tiny_gemma.ts';

const one = { layers: 1 };

// Each generation and each form of weights once: compiling the products of a model takes the time. Gemma 1 in f32 is
// pg1-tiny's bundle in converter/e2e; further forms are in run_formats.slow.test.ts.
describe('the plan of a program computes what the program means', () => {
  itOnGpu('Gemma 2: norms behind, softcap, several KV heads', () => expectSameDecoding(tinyGemma(GEMMA_2)));
  itOnGpu('weights in 4 bits with float zero points', () =>
    expectSameDecoding(coded(tinyGemma({ ...GEMMA_2, ...one }), { ...INT4, floatZero: true })),
  );
});

describe('a bundle computes what its program means', () => {
  itOnGpu('a picture, an embedding', async () => {
    // prompts are above, and compile for longer
    const program = programOf(...tinyProgram().graphs.filter(({ name }) => name !== 'decoder'));
    await using bundle = await emittedBundle(program);
    const both = { runner: await open(bundle.dir), reference: evaluatorRunner(program) };
    for (const images of [1, 3])
      await expectSame(both, 'vision_encoder', { pixel_values: randomTensor('f32', [images, 3, 8, 8], images) }, [
        'vit.0',
        'image_features',
      ]);
    await expectSame(both, 'embed_tokens', { input_ids: tensorOf('i64', [1, 3], [4, 0, 23]) });
    await both.runner.dispose();
  });
});

describe('what does not fit is said', () => {
  itOnGpu('inputs that are missing, of another dtype or too large, and a graph that is not there', async () => {
    const program = programOf(tinyEmbed());
    const both = { runner: await memoryRunner(program), reference: evaluatorRunner(program) };
    const run = (inputs: Record<string, Tensor>, graph = 'embed_tokens') => both.runner.run(graph, inputs);
    await expect(run({})).rejects.toMatchObject({ code: 'bad-input', message: expect.stringContaining('"input_ids"') });
    await expect(run({ input_ids: tensorOf('f32', [1, 2], [0, 1]) })).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining('is f32, not i64'),
    });
    await expect(run({ input_ids: tensorOf('i64', [1, 2], [1, 2 ** 40]) })).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining('32 bits'),
    });
    await expect(run({}, 'encoder')).rejects.toMatchObject({
      code: 'bad-input',
      message: expect.stringContaining('no graph "encoder"'),
    });
    expect(await both.runner.inputDtypes('embed_tokens')).toEqual({ input_ids: 'i64' });
    await expectSame(both, 'embed_tokens', { input_ids: tensorOf('i64', [1, 2], [0, 1]) });
    await both.runner.dispose();
  });

  it('a folder without a bundle', async () => {
    await expect(open('/nowhere')).rejects.toMatchObject({ code: 'bundle-missing' });
  });

  itOnGpu('a shard that is short, one that is not there, and a manifest that is none', async () => {
    await using bundle = await emittedBundle(programOf(tinyEmbed()));
    const shard = join(bundle.dir, 'weights/000.bin');
    await truncate(shard, 100);
    await expect(open(bundle.dir)).rejects.toMatchObject({ code: 'bundle-damaged' });
    await rm(shard);
    await expect(open(bundle.dir)).rejects.toMatchObject({ code: 'bundle-missing' });
    await truncate(join(bundle.dir, 'manifest.pgw'), 100);
    await expect(open(bundle.dir)).rejects.toMatchObject({ code: 'bundle-damaged' });
  });
});
