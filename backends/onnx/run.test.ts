import { describe, expect, it } from 'vitest';
import { evaluatorRunner } from '../../ir/evaluate.ts';
import { tensorOf, type Tensor } from '../../ir/tensor.ts';
import { randomTensor } from '../../ir/testing/random.ts';
import { open } from './run.ts';
import { expectClose } from './testing/compare.ts';
import { emittedBundle } from './testing/emitted_bundle.ts';
import { tinyProgram } from './testing/tiny_program.ts';

/** Sums of some tens of f32 products in another order than the evaluator's float64. */
const F32 = { absolute: 2e-5, relative: 1e-5 };

function decoderInputs(batch: number, seq: number, past: number, keep: number, dtype: 'f32' | 'f16' = 'f32'): Record<string, Tensor> {
  const total = past + seq;
  const caches = [0, 1].flatMap((i) => ['key', 'value'].map((kind, j) => [`past_key_values.${i}.${kind}`, randomTensor(dtype, [batch, 1, past, 8], 10 * i + j)] as const));
  return {
    inputs_embeds: randomTensor('f32', [batch, seq, 16], 7),
    attention_mask: tensorOf('i64', [batch, total], Array.from({ length: batch * total }, (_, i) => (i % total === 0 && i > 0 ? 0 : 1))),
    position_ids: tensorOf('i64', [batch, seq], Array.from({ length: batch * seq }, (_, i) => past + 1 + (i % seq))),
    num_logits_to_keep: tensorOf('i64', [], [keep]),
    ...Object.fromEntries(caches),
  };
}

describe('an emitted bundle in onnxruntime on the cpu', () => {
  const program = tinyProgram();
  const reference = evaluatorRunner(program);

  it.each([
    { batch: 2, seq: 5, past: 0, keep: 0 },
    { batch: 1, seq: 1, past: 7, keep: 1 },
    { batch: 3, seq: 3, past: 4, keep: 2 },
    { batch: 1, seq: 1, past: 0, keep: 0 },
  ])('decodes a batch of $batch with $seq tokens after $past, keeping $keep logits', async ({ batch, seq, past, keep }) => {
    await using bundle = await emittedBundle(program);
    const runner = await open(bundle.dir);
    const inputs = decoderInputs(batch, seq, past, keep);
    const [actual, expected] = [await runner.run('decoder', inputs), await reference.run('decoder', inputs)];
    expect(Object.keys(actual).sort()).toEqual(Object.keys(expected).sort());
    for (const [name, tensor] of Object.entries(expected)) expectClose(name, actual[name], tensor, F32);
    await runner.dispose();
  });
});
