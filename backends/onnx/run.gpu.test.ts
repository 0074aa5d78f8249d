import { describe, expect } from 'vitest';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import { itOnGpu } from '../testing/gpu.ts';
import { tinyProgram } from '../testing/tiny_program.ts';
import { nodePlacement } from './node_placement.ts';
import { open } from './run.ts';
import { emittedBundle } from './testing/emitted_bundle.ts';
import { decoderInputs, expectSame, F16, F32, fp16 } from './testing/tiny_decoder.ts';

describe('a bundle in onnxruntime on webgpu', () => {
  itOnGpu('decodes a prefill and a step, and every kernel on floats runs there', async () => {
    const program = tinyProgram();
    await using bundle = await emittedBundle(program);
    const runner = await open(bundle.dir, { device: 'webgpu' });
    expect(runner.description).toMatch(/^onnxruntime-node \d+\.\d+\.\d+ webgpu$/);
    for (const [seq, past] of [
      [3, 0],
      [1, 3],
    ] as const)
      await expectSame(runner, evaluatorRunner(program), 'decoder', decoderInputs(2, seq, past, 0), F32, [
        'lm.1',
        'lm.2',
      ]);
    await runner.dispose();
    const placement = await nodePlacement(bundle.dir, 'decoder', 'webgpu', decoderInputs(2, 1, 3, 0));
    const floats = [
      'MatMul',
      'Softmax',
      'RMSNormalization',
      'RotaryEmbedding',
      'Gelu',
      'Tanh',
      'Transpose',
      'Concat',
      'Where',
      'Expand',
      'Mul',
      'Slice',
    ];
    expect(floats.filter((op) => placement.get('CPU')?.has(op))).toEqual([]);
    expect(floats.filter((op) => !placement.get('WebGpu')?.has(op))).toEqual([]);
  });

  itOnGpu('runs in f16, or says that this GPU has no f16 shaders', async () => {
    const program = fp16(tinyProgram());
    await using bundle = await emittedBundle(program, 'fp16');
    const runner = await open(bundle.dir, { device: 'webgpu' });
    const failure = await expectSame(
      runner,
      evaluatorRunner(program),
      'decoder',
      decoderInputs(1, 3, 2, 0, 'f16'),
      F16,
    ).catch((error: unknown) => error);
    if (failure !== undefined)
      expect(failure).toMatchObject({
        name: 'BackendError',
        code: 'runtime-failed',
        place: { hint: expect.stringContaining('shader-f16') },
      });
    await runner.dispose();
  });
});
