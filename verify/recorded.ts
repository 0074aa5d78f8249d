import { readTensor, tensorOf, type Tensor, type TensorData } from '../ir/tensor.ts';
import type { VerifyCase } from './cases.ts';
import { VerifyError } from './error.ts';
import { choose } from './metrics.ts';
import { readRecordedRetrieval } from './recorded_retrieval.ts';
import type { Recorded } from './recording.ts';
import { rowsOf, slicePositions } from './rows.ts';
import type { CaseStages, Greedy, Outcome } from './run_case.ts';

type Tensors = ReadonlyMap<string, TensorData>;

/**
 * Reads goldens in the layout of the fixtures: `pixel_values`, `input_ids` with image tokens first,
 * `mask_ar` (1 from the first suffix token on), `logits` of the text positions, `image_features`, `gen_tokens` and
 * `gen_logits` of greedy decoding from the prefix, optionally `padded_*` for prompts of different length; and `stages`,
 * the intermediate values of the whole sequence. Logits of the prefix come from a prefill, those of the suffix from a
 * causal continuation, so they are recorded apart. With `embeddings` it is a ColPali's: see `readRecordedRetrieval`.
 * @throws VerifyError naming what is missing or does not fit.
 */
export async function readRecorded(
  golden: Tensors,
  stages?: Tensors,
  description = 'recorded',
): Promise<{ cases: VerifyCase[]; reference: Recorded }> {
  const read = async (name: string): Promise<Tensor> => {
    const data = golden.get(name);
    if (!data)
      throw new VerifyError(
        'bad_recording',
        `the recording has no "${name}"`,
        'record it again with every tensor that the layout has',
      );
    return readTensor(data);
  };
  if (golden.has('embeddings')) return readRecordedRetrieval(golden, read, description);
  const [pixelValues, inputIds, maskAr, logits, imageFeatures] = (await Promise.all(
    ['pixel_values', 'input_ids', 'mask_ar', 'logits', 'image_features'].map(read),
  )) as [Tensor, Tensor, Tensor, Tensor, Tensor];
  const [batch, length] = inputIds.shape as readonly [number, number];
  const text = maskAr.shape[1]!;
  const prefix = prefixLength(maskAr);
  const prompt = length - text + prefix;
  const imageTokenId = inputIds.data[0]!;
  const allStages = new Map(
    await Promise.all([...(stages ?? [])].map(async ([name, data]) => [name, await readTensor(data)] as const)),
  );
  const greedy = await readGreedy('gen', golden, read);
  const cases: VerifyCase[] = [
    {
      name: 'recorded',
      pixelValues,
      inputIds: idColumns(inputIds, 0, prompt),
      attentionMask: tensorOf('i64', [batch, prompt], Array<number>(batch * prompt).fill(1)),
      imageTokenId,
      ...(prompt < length && { suffixIds: idColumns(inputIds, prompt, length) }),
      maxNewTokens: greedy?.logits.shape[1] ?? 0,
      logitsToKeep: prefix,
    },
  ];
  const outcomes = new Map<string, Outcome>([
    [
      'recorded',
      {
        imageFeatures,
        prefillLogits: slicePositions(logits, 0, prefix),
        ...(prompt < length && { suffixLogits: slicePositions(logits, prefix, text) }),
        ...(greedy && { greedy }),
        ...(allStages.size > 0 && { stages: splitStages(allStages, prompt, length) }),
      },
    ],
  ]);
  if (golden.has('padded_input_ids')) {
    const padded = await readGreedy('padded_gen', golden, read);
    cases.push({
      name: 'recorded, left-padded',
      pixelValues,
      inputIds: await read('padded_input_ids'),
      attentionMask: await read('padded_attention_mask'),
      imageTokenId,
      maxNewTokens: padded?.logits.shape[1] ?? 0,
      logitsToKeep: 1,
    });
    outcomes.set('recorded, left-padded', {
      imageFeatures,
      ...(padded && { prefillLogits: slicePositions(padded.logits, 0, 1), greedy: padded }),
    });
  }
  return { cases, reference: { description, outcomes } };
}

async function readGreedy(
  name: string,
  golden: Tensors,
  read: (name: string) => Promise<Tensor>,
): Promise<Greedy | undefined> {
  if (!golden.has(`${name}_tokens`)) return undefined;
  const [tokens, logits] = [await read(`${name}_tokens`), await read(`${name}_logits`)];
  const [batch, steps] = tokens.shape as readonly [number, number];
  if (logits.shape[0] !== batch || logits.shape[1] !== steps)
    throw new VerifyError(
      'bad_recording',
      `"${name}_logits" [${logits.shape}] does not go with "${name}_tokens" [${tokens.shape}]`,
      'record both from one run',
    );
  const rows = rowsOf(logits);
  const perRow = <T>(at: (index: number) => T) =>
    Array.from({ length: batch }, (_, b) => Array.from({ length: steps }, (_step, s) => at(b * steps + s)));
  return { tokens: perRow((i) => tokens.data[i]!), logits, choices: perRow((i) => choose(rows, i)) };
}

/** Text tokens before the suffix: the same in every row, because a tensor has one shape. */
function prefixLength({ shape, data }: Tensor): number {
  const [batch, text] = shape as readonly [number, number];
  const lengths = Array.from({ length: batch }, (_, b) => {
    const row = [...data.subarray(b * text, (b + 1) * text)];
    const first = row.findIndex((ar) => ar !== 0);
    return first === -1 ? text : first;
  });
  const [prefix] = lengths;
  if (prefix === undefined || prefix === 0 || lengths.some((n) => n !== prefix))
    throw new VerifyError(
      'bad_recording',
      `prefixes of ${lengths.join(', ')} tokens`,
      'record rows whose prefixes are of one length, at least 1',
    );
  return prefix;
}

function idColumns({ shape, data }: Tensor, begin: number, end: number): Tensor {
  const [batch, length] = shape as readonly [number, number];
  return tensorOf(
    'i64',
    [batch, end - begin],
    Array.from({ length: batch }, (_, b) => [...data.subarray(b * length + begin, b * length + end)]).flat(),
  );
}

/** Stages `lm.*` are the decoder’s: they are cut where the suffix begins. */
function splitStages(stages: ReadonlyMap<string, Tensor>, prompt: number, length: number): CaseStages {
  const decoder = [...stages].filter(([name]) => name.startsWith('lm.'));
  const bad = decoder.find(([, { shape }]) => shape[1] !== length);
  if (bad)
    throw new VerifyError(
      'bad_recording',
      `stage "${bad[0]}" has ${bad[1].shape[1]} positions, the tokens ${length}`,
      'record stages of the same sequence',
    );
  return {
    vision: Object.fromEntries([...stages].filter(([name]) => !name.startsWith('lm.'))),
    prefill: Object.fromEntries(decoder.map(([name, value]) => [name, slicePositions(value, 0, prompt)])),
    suffix:
      prompt === length
        ? {}
        : Object.fromEntries(decoder.map(([name, value]) => [name, slicePositions(value, prompt, length)])),
  };
}
