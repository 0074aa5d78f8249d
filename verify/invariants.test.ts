import { describe, expect, it } from 'vitest';
import { tensorOf, type Tensor } from '../ir/tensor.ts';
import { syntheticCases, type VerifyCase } from './cases.ts';
import type { Model } from './decode.ts';
import { checkInvariants, checkRowsAlone } from './invariants.ts';
import { runCase } from './run_case.ts';
import { countingMetadata } from './testing/counting_runner.ts';
import { TOLERANCES } from './tolerances.ts';

const metadata = { ...countingMetadata, imageTokenId: 9 };
const tolerances = TOLERANCES.fp32(metadata);

/** What a decoder may get wrong. */
interface Faults {
  /** Whether the query at `q` of `seq` tokens, behind `past`, sees the key at `k` of all. */
  readonly sees?: (q: number, k: number, past: number, seq: number) => boolean;
  /** Reads padding. */
  readonly padding?: boolean;
  /** Row `row` of a batch also reads row 0. */
  readonly neighbour?: number;
  /** The same of ColPali's vectors alone. */
  readonly vectorsOfNeighbour?: number;
  readonly retrieval?: boolean;
}

const prefixThenCausal = (q: number, k: number, past: number): boolean => past === 0 || k <= past + q;

/** A prefix-LM: logits are of the sum of the tokens that it sees, each by its place; the cache keeps the tokens. */
function model(faults: Faults = {}): Model & { readonly embedded: number[][] } {
  const embedded: number[][] = [];
  return {
    embedded,
    metadata: faults.retrieval ? { ...metadata, retrievalWidth: 3 } : metadata,
    runner: {
      description: 'sums',
      inputDtypes: async () => ({ 'past_key_values.0.key': 'f32', 'past_key_values.0.value': 'f32' }),
      run: async (graph, inputs) => {
        if (graph === 'vision_encoder') {
          const images = inputs['pixel_values']!.shape[0]!;
          return { image_features: tensorOf('f32', [images, 1, 1], Array<number>(images).fill(0.5)) };
        }
        if (graph === 'embed_tokens') {
          const { shape, data } = inputs['input_ids']!;
          embedded.push([...data]);
          return { inputs_embeds: tensorOf('f32', [...shape, 1], data) };
        }
        return decode(inputs, faults);
      },
      dispose: async () => {},
    },
  };
}

function decode(inputs: Readonly<Record<string, Tensor>>, faults: Faults): Record<string, Tensor> {
  const { sees = prefixThenCausal, padding = false, neighbour, vectorsOfNeighbour, retrieval = false } = faults;
  const tokens = inputs['inputs_embeds']!;
  const cache = inputs['past_key_values.0.key']!;
  const mask = inputs['attention_mask']!;
  const [batch, seq] = tokens.shape as readonly [number, number];
  const past = cache.shape[2]!;
  const total = past + seq;
  const all = Array.from({ length: batch }, (_, b) => [
    ...cache.data.subarray(b * past, (b + 1) * past),
    ...tokens.data.subarray(b * seq, (b + 1) * seq),
  ]);
  const sum = (b: number, q: number): number => {
    const open = (k: number) => padding || mask.data[b * total + k] === 1;
    return all[b]!.reduce((s, token, k) => {
      const place = [...mask.data.subarray(b * total, b * total + k)].filter((bit) => bit === 1).length;
      return open(k) && sees(q, k, past, seq) ? s + Math.cos(token + place) : s;
    }, 0);
  };
  const sums = (of: number | undefined) =>
    Array.from({ length: batch }, (_, b) =>
      Array.from({ length: seq }, (_unused, q) => sum(b, q) + (b > 0 && b === of ? 0.01 * sum(0, q) : 0)),
    );
  const wide = (values: readonly number[][], width: number, last = seq) =>
    tensorOf(
      'f32',
      [batch, last, width],
      values.flatMap((row) =>
        row.slice(seq - last).flatMap((s) => Array.from({ length: width }, (_, c) => Math.sin(s * (c + 1)))),
      ),
    );
  const kept = Math.min(inputs['num_logits_to_keep']!.data[0]! || seq, seq);
  const present = tensorOf('f32', [batch, 1, total, 1], all.flat());
  return {
    logits: wide(sums(neighbour), metadata.vocabSize, kept),
    'present.0.key': present,
    'present.0.value': present,
    ...(retrieval && { embeddings: wide(sums(vectorsOfNeighbour), 3) }),
  };
}

const rows = syntheticCases(metadata)[0]!;

/** Names of checks, those that fail with a cross. */
const named = (checks: readonly { readonly output: string; readonly passed: boolean }[]) =>
  checks.map(({ output, passed }) => (passed ? output : `✗ ${output}`));

const AHEAD = 'prompt sees ahead';
const AT_ONCE = 'suffix at once = token by token';
const NOT_AHEAD = 'suffix does not see ahead';

describe('what must hold of a model by itself', () => {
  it.each<[string, Faults, string[]]>([
    ['a prefix-LM', {}, [AHEAD, AT_ONCE, NOT_AHEAD]],
    ['a causal prompt', { sees: (q, k, past) => k <= past + q }, [`✗ ${AHEAD}`, AT_ONCE, NOT_AHEAD]],
    ['a suffix that sees itself whole', { sees: () => true }, [AHEAD, `✗ ${AT_ONCE}`, `✗ ${NOT_AHEAD}`]],
    [
      'tokens that see their own chunk alone',
      { sees: (q, k, past) => past === 0 || (k >= past && k <= past + q) },
      [AHEAD, `✗ ${AT_ONCE}`, NOT_AHEAD],
    ],
  ])('%s', async (_, faults, expected) => {
    expect(named(await checkInvariants(model(faults), rows, tolerances))).toEqual(expected);
  });

  it('takes two tokens to read them at once or one by one', async () => {
    const suffix = (count: number) => ({ ...rows, suffixIds: tensorOf('i64', [3, count], Array(3 * count).fill(3)) });
    expect(named(await checkInvariants(model(), suffix(2), tolerances))).toEqual([AHEAD, AT_ONCE, NOT_AHEAD]);
    expect(named(await checkInvariants(model(), suffix(1), tolerances))).toEqual([AHEAD]);
    const { suffixIds: _, ...without } = rows;
    expect(named(await checkInvariants(model(), without, tolerances))).toEqual([AHEAD]);
  });

  it('is asked of the first position that has logits, and of two where one has', async () => {
    const blind = { sees: (q: number, k: number, past: number) => k <= past + q };
    for (const logitsToKeep of [1, 2, 0])
      expect(named(await checkInvariants(model(blind), { ...rows, logitsToKeep }, tolerances))[0]).toBe(`✗ ${AHEAD}`);
  });

  it.each([
    [2, 7],
    [4, 0], // 4 + 5 is the image's
    [6, 1],
  ])('another token than %d is %d, never the image’s', async (last, other) => {
    const ids = [9, 2, last];
    const prompt: VerifyCase = {
      name: 'one',
      pixelValues: tensorOf('f32', [1, 3, 2, 2], Array(12).fill(0)),
      inputIds: tensorOf('i64', [1, 3], ids),
      attentionMask: tensorOf('i64', [1, 3], [1, 1, 1]),
      imageTokenId: 9,
      suffixIds: tensorOf('i64', [1, 2], [3, last]),
      maxNewTokens: 0,
      logitsToKeep: 0,
    };
    const { embedded, ...asked } = model();
    await checkInvariants(asked, prompt, tolerances);
    expect(embedded.slice(0, 2)).toEqual([ids, [9, 2, other]]);
    expect(embedded.at(-1)).toEqual([3, other]);
  });
});

describe('rows of a batch', () => {
  const alone = (row: number) => `row ${row} in the batch = alone`;
  const vectors = (row: number) => `embeddings of row ${row} in the batch = alone`;
  const check = async (faults: Faults, verifyCase = rows) => {
    const asked = model(faults);
    return named(await checkRowsAlone(asked, verifyCase, runCase(asked, verifyCase), tolerances));
  };

  it('are what they are alone', async () => {
    expect(await check({})).toEqual([alone(0), alone(1), alone(2)]);
    expect(await check({ retrieval: true })).toEqual([0, 1, 2].flatMap((row) => [alone(row), vectors(row)]));
  });

  it.each([1, 2])('row %d that reads another is found', async (neighbour) => {
    expect(await check({ neighbour })).toEqual(
      [0, 1, 2].map((row) => (row === neighbour ? `✗ ${alone(row)}` : alone(row))),
    );
    expect(await check({ retrieval: true, vectorsOfNeighbour: neighbour })).toEqual(
      [0, 1, 2].flatMap((row) => [alone(row), row === neighbour ? `✗ ${vectors(row)}` : vectors(row)]),
    );
  });

  it('padding that is read is found in each row that has some', async () => {
    expect(await check({ padding: true })).toEqual([alone(0), `✗ ${alone(1)}`, `✗ ${alone(2)}`]);
  });

  it('one row is its own batch', async () => {
    const one = syntheticCases(metadata)[1]!;
    expect(await check({}, one)).toEqual([]);
  });
});
