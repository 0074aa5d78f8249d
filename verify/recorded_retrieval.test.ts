import { expect, test } from 'vitest';
import { tensorData, tensorOf, type TensorData } from '../ir/tensor.ts';
import { readRecorded } from './recorded.ts';

const data = (dtype: 'f32' | 'i64', shape: number[], values: number[]) => tensorData(tensorOf(dtype, shape, values));

/** A page of two image tokens (id 9) and one of text; a query of two tokens after padding; vectors of width 2. */
function recording(changes: Record<string, TensorData | undefined> = {}): Map<string, TensorData> {
  const all = {
    pixel_values: data('f32', [1, 3, 1, 1], [0, 1, 2]),
    input_ids: data('i64', [1, 3], [9, 9, 2]),
    attention_mask: data('i64', [1, 3], [1, 1, 1]),
    token_type_ids: data('i64', [1, 3], [0, 0, 0]),
    image_features: data('f32', [1, 2, 1], [5, 6]),
    embeddings: data('f32', [1, 3, 2], [1, 0, 0, 1, 1, 0]),
    query_input_ids: data('i64', [1, 3], [0, 2, 3]),
    query_attention_mask: data('i64', [1, 3], [0, 1, 1]),
    query_token_type_ids: data('i64', [1, 3], [0, 0, 0]),
    query_embeddings: data('f32', [1, 3, 2], [0, 0, 1, 0, 0, 1]),
    scores: data('f32', [1, 1], [2]),
    ...changes,
  };
  return new Map(Object.entries(all).filter((entry): entry is [string, TensorData] => entry[1] !== undefined));
}

test('pages have pictures, queries have none, and both are only read', async () => {
  const { cases, reference } = await readRecorded(recording(), undefined, 'transformers');
  expect(
    cases.map(({ name, maxNewTokens, suffixIds, imageTokenId }) => ({ name, maxNewTokens, suffixIds, imageTokenId })),
  ).toEqual(
    ['recorded pages', 'recorded queries'].map((name) => ({
      name,
      maxNewTokens: 0,
      suffixIds: undefined,
      imageTokenId: 9,
    })),
  );
  expect(cases.map(({ pixelValues }) => pixelValues.shape)).toEqual([
    [1, 3, 1, 1],
    [0, 3, 1, 1],
  ]);
  expect([...cases[1]!.attentionMask.data]).toEqual([0, 1, 1]);
  expect(reference.description).toBe('transformers');
  expect(Object.keys(reference.outcomes.get('recorded pages')!)).toEqual(['imageFeatures', 'prefillEmbeddings']);
  expect([...reference.outcomes.get('recorded queries')!.prefillEmbeddings!.data]).toEqual([0, 0, 1, 0, 0, 1]);
  expect(reference.scores).toMatchObject([
    { queries: 'recorded queries', pages: 'recorded pages', scores: { shape: [1, 1] } },
  ]);
});

test('queries, scores and token types may be missing', async () => {
  const bare = recording({ token_type_ids: undefined, query_token_type_ids: undefined, scores: undefined });
  expect((await readRecorded(bare)).reference.scores).toEqual([]);
  expect((await readRecorded(recording({ query_input_ids: undefined }))).cases).toHaveLength(1);
});

test.each([
  ['vectors of the queries are missing', { query_embeddings: undefined }, /no "query_embeddings"/],
  ['the mask of the pages is missing', { attention_mask: undefined }, /no "attention_mask"/],
  ['pages were read causally', { token_type_ids: data('i64', [1, 3], [0, 0, 1]) }, /"token_type_ids" is not all 0/],
  [
    'queries were read causally',
    { query_token_type_ids: data('i64', [1, 3], [1, 1, 1]) },
    /"query_token_type_ids" is not all 0/,
  ],
])('refuses it when %s', async (_, changes, message) => {
  await expect(readRecorded(recording(changes))).rejects.toThrow(message);
  await expect(readRecorded(recording(changes))).rejects.toMatchObject({ code: 'bad_recording' });
});
