import { expect, test } from 'vitest';
import { tensorData, tensorOf, type TensorData } from '../ir/tensor.ts';
import { readRecorded } from './recorded.ts';

const count = (n: number) => Array.from({ length: n }, (_, i) => i);
const data = (dtype: 'f32' | 'i64' | 'i32', shape: number[], values: number[]) =>
  tensorData(tensorOf(dtype, shape, values));

/** Two image tokens (id 9), two prefix tokens, one suffix token; a vocabulary of two. */
function recording(changes: Record<string, TensorData | undefined> = {}): Map<string, TensorData> {
  const all = {
    pixel_values: data('f32', [1, 3, 1, 1], [0, 1, 2]),
    input_ids: data('i64', [1, 5], [9, 9, 2, 3, 4]),
    mask_ar: data('i32', [1, 3], [0, 0, 1]),
    logits: data('f32', [1, 3, 2], count(6)),
    image_features: data('f32', [1, 2, 1], [5, 6]),
    gen_tokens: data('i64', [1, 2], [1, 0]),
    gen_logits: data('f32', [1, 2, 2], [0, 3, 2, 1]),
    ...changes,
  };
  return new Map(Object.entries(all).filter((entry): entry is [string, TensorData] => entry[1] !== undefined));
}

test('splits prefix and suffix where mask_ar begins', async () => {
  const stages = new Map([
    ['vit.0', data('f32', [1, 2, 1], [1, 2])],
    ['lm.0', data('f32', [1, 5, 1], count(5))],
  ]);
  const { cases, reference } = await readRecorded(recording(), stages, 'original');
  expect(reference.description).toBe('original');
  expect(cases).toHaveLength(1);
  expect(cases[0]).toMatchObject({
    imageTokenId: 9,
    maxNewTokens: 2,
    logitsToKeep: 2,
    inputIds: { shape: [1, 4] },
    attentionMask: { shape: [1, 4] },
    suffixIds: { shape: [1, 1] },
  });
  expect([...cases[0]!.suffixIds!.data]).toEqual([4]);
  const outcome = reference.outcomes.get('recorded')!;
  expect([...outcome.prefillLogits!.data]).toEqual([0, 1, 2, 3]);
  expect([...outcome.suffixLogits!.data]).toEqual([4, 5]);
  expect(outcome.greedy!.tokens).toEqual([[1, 0]]);
  expect(outcome.greedy!.choices).toEqual([
    [
      { token: 1, logit: 3, margin: 3 },
      { token: 0, logit: 2, margin: 1 },
    ],
  ]);
  expect(Object.keys(outcome.stages!.vision)).toEqual(['vit.0']);
  expect([...outcome.stages!.prefill['lm.0']!.data]).toEqual([0, 1, 2, 3]);
  expect([...outcome.stages!.suffix['lm.0']!.data]).toEqual([4]);
});

test('reads the padded prompts when they are there', async () => {
  const padded = recording({
    padded_input_ids: data('i64', [1, 5], [0, 9, 9, 2, 3]),
    padded_attention_mask: data('i64', [1, 5], [0, 1, 1, 1, 1]),
    padded_gen_tokens: data('i64', [1, 2], [1, 0]),
    padded_gen_logits: data('f32', [1, 2, 2], [0, 3, 2, 1]),
  });
  const { cases, reference } = await readRecorded(padded);
  expect(cases[1]).toMatchObject({ name: 'recorded, left-padded', logitsToKeep: 1, maxNewTokens: 2 });
  expect([...reference.outcomes.get('recorded, left-padded')!.prefillLogits!.data]).toEqual([0, 3]);
});

test.each([
  ['a tensor is missing', { logits: undefined }, /no "logits"/],
  ['prefixes differ', { mask_ar: data('i32', [1, 3], [1, 1, 1]) }, /prefixes of 0/],
  [
    'generated logits do not go with the tokens',
    { gen_logits: data('f32', [1, 1, 2], [0, 1]) },
    /does not go with "gen_tokens"/,
  ],
])('refuses it when %s', async (_, changes, message) => {
  await expect(readRecorded(recording(changes))).rejects.toThrow(message);
  await expect(readRecorded(recording(changes))).rejects.toMatchObject({ code: 'bad_recording' });
});

test('refuses stages of another sequence', async () => {
  await expect(readRecorded(recording(), new Map([['lm.0', data('f32', [1, 4, 1], count(4))]]))).rejects.toThrow(
    /"lm.0" has 4 positions, the tokens 5/,
  );
});
