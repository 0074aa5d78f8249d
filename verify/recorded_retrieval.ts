import type { Tensor } from '../ir/tensor.ts';
import type { VerifyCase } from './cases.ts';
import { VerifyError } from './error.ts';
import type { Recorded } from './recording.ts';
import type { Outcome } from './run_case.ts';

const PAGES = 'recorded pages';
const QUERIES = 'recorded queries';

/**
 * The goldens of a ColPali, as fixtures/colpali-tiny has them: pages are `pixel_values`, `input_ids` and
 * `attention_mask` with their `image_features` and `embeddings`; queries, which may be left out, are `query_input_ids`,
 * `query_attention_mask` and `query_embeddings`; `scores` [queries, pages] come on top. There are no logits: ColPali
 * has none. @throws VerifyError naming what is missing, or was recorded under another mask.
 */
export async function readRecordedRetrieval(
  names: { has(name: string): boolean },
  read: (name: string) => Promise<Tensor>,
  description: string,
): Promise<{ cases: VerifyCase[]; reference: Recorded }> {
  const [pixelValues, inputIds] = [await read('pixel_values'), await read('input_ids')];
  const imageTokenId = inputIds.data[0]!;
  const rest = { imageTokenId, maxNewTokens: 0, logitsToKeep: 1 };
  for (const name of ['token_type_ids', 'query_token_type_ids'])
    if (names.has(name)) refuseCausal(name, await read(name));
  const cases: VerifyCase[] = [
    { name: PAGES, pixelValues, inputIds, attentionMask: await read('attention_mask'), ...rest },
  ];
  const outcomes = new Map<string, Outcome>([
    [PAGES, { imageFeatures: await read('image_features'), prefillEmbeddings: await read('embeddings') }],
  ]);
  if (!names.has('query_input_ids')) return { cases, reference: { description, outcomes } };
  const none: Tensor = {
    ...pixelValues,
    shape: [0, ...pixelValues.shape.slice(1)],
    data: pixelValues.data.slice(0, 0),
  };
  cases.push({
    name: QUERIES,
    pixelValues: none,
    inputIds: await read('query_input_ids'),
    attentionMask: await read('query_attention_mask'),
    ...rest,
  });
  outcomes.set(QUERIES, { prefillEmbeddings: await read('query_embeddings') });
  const scores = names.has('scores') ? [{ queries: QUERIES, pages: PAGES, scores: await read('scores') }] : [];
  return { cases, reference: { description, outcomes, scores } };
}

/** Hugging Face makes tokens of type 1 causal; ColPali was trained with a mask that hides nothing but padding. */
function refuseCausal(name: string, { data }: Tensor): void {
  if (data.some((type) => type !== 0))
    throw new VerifyError(
      'bad_recording',
      `"${name}" is not all 0: the embeddings are of another mask than ColPali's`,
      'record them with the token_type_ids that ColPaliProcessor gives',
    );
}
