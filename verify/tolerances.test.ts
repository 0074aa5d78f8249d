import { expect, test } from 'vitest';
import type { Tensor } from '../ir/tensor.ts';
import { checkLogits } from './check.ts';
import { TOLERANCES, TOKEN_LENGTH, tolerancesOf, type Bound, type MetricName } from './tolerances.ts';

const tiny = { layers: 3, hiddenSize: 64 };
const gemma2b = { layers: 18, hiddenSize: 2048 };

test('a tie is 1e-3 in f32, and two units of the logit in f16', () => {
  expect(TOLERANCES.fp32(tiny).tieMargin(40)).toBe(1e-3);
  expect(TOLERANCES.fp16(tiny).tieMargin(40)).toBe(2 ** -4);
  expect(TOLERANCES.fp16(tiny).tieMargin(0.01)).toBe(1e-3);
});

test.each(['fp32', 'fp16', 'bf16', 'int8', 'int4', 'q4f16'] as const)(
  '%s: every output refuses what is not finite, and every bound says why',
  (precision) => {
    const { imageFeatures, logits, embeddings, scores, stage, quality } = TOLERANCES[precision](gemma2b);
    const against = quality?.('none').bounds ?? [];
    for (const bounds of [imageFeatures, logits, embeddings, scores, ...(quality ? [against] : [])])
      expect(bounds.find(({ metric }) => metric === 'nonFinite')?.atMost).toBe(0);
    for (const { reason, atMost, atLeast } of [
      ...imageFeatures,
      ...logits,
      ...embeddings,
      ...scores,
      ...against,
      TOKEN_LENGTH,
      stage,
    ]) {
      expect(reason.length).toBeGreaterThan(12);
      expect(atMost === undefined).not.toBe(atLeast === undefined);
    }
  },
);

/** What a bundle gives that equals its reference to the bit. */
const EQUAL: Readonly<Record<MetricName, number>> = {
  maxAbs: 0,
  relativeL2: 0,
  cosine: 1,
  nonFinite: 0,
  meanKld: 0,
  kld99: 0,
  maxKld: 0,
  sameTop1: 1,
};

test.each(['fp32', 'fp16', 'bf16', 'int8', 'int4', 'nf4', 'q4f16'] as const)(
  '%s: what is equal passes every bound, rounded activations or not',
  (precision) => {
    for (const sizes of [tiny, gemma2b])
      for (const roundedActivations of [undefined, 'in blocks', 'as a whole'] as const) {
        const { imageFeatures, logits, embeddings, scores, unseen, stage, quality } = tolerancesOf(precision, sizes, {
          roundedActivations,
        });
        const bounds = [
          ...imageFeatures,
          ...logits,
          ...embeddings,
          unseen,
          ...scores,
          stage,
          ...(quality?.('none').bounds ?? []),
        ];
        expect(
          bounds.filter(
            ({ metric, atMost = Infinity, atLeast = -Infinity }) => EQUAL[metric] > atMost || EQUAL[metric] < atLeast,
          ),
        ).toEqual([]);
        expect(bounds.every(({ atMost = 0, atLeast = 0 }) => atMost >= 0 && atLeast >= 0)).toBe(true);
      }
  },
);

test('rounded activations loosen what codes compute, within bounds that say why, and nothing else', () => {
  for (const precision of ['fp32', 'fp16', 'bf16'] as const)
    expect(JSON.stringify(tolerancesOf(precision, tiny, { roundedActivations: 'in blocks' }))).toBe(
      JSON.stringify(tolerancesOf(precision, tiny)),
    );
  for (const precision of ['int8', 'int4', 'q4f16'] as const) {
    const [exact, { imageFeatures, logits, embeddings, scores, stage, quality }] = [
      tolerancesOf(precision, tiny),
      tolerancesOf(precision, tiny, { roundedActivations: 'in blocks' }),
    ];
    const l2 = (bounds: readonly Bound[]) => bounds.find(({ metric }) => metric === 'relativeL2')!.atMost!;
    expect(l2(logits)).toBeGreaterThan(l2(exact.logits));
    for (const bounds of [imageFeatures, logits, embeddings, scores])
      expect(bounds.find(({ metric }) => metric === 'nonFinite')?.atMost).toBe(0);
    for (const { reason } of [...imageFeatures, ...logits, ...embeddings, ...scores, stage])
      expect(reason.length).toBeGreaterThan(12);
    expect(quality!('none').bounds).toEqual(exact.quality!('none').bounds);
    const unseen = (how: 'in blocks' | 'as a whole') =>
      tolerancesOf(precision, tiny, { roundedActivations: how }).unseen.atMost;
    expect([unseen('in blocks'), unseen('as a whole')]).toEqual([exact.unseen.atMost, stage.atMost]);
    // two independent errors: their squares add up
    const [margin, ofCodes] = [quality!('none').tieMargin(1), exact.quality!('none').tieMargin(1)];
    expect(margin ** 2).toBeCloseTo(ofCodes ** 2 + 4 * 2e-3, 12);
  }
});

test.each(['fp32', 'fp16'] as const)(
  '%s: a retriever’s logits are held to values, not to the greedy token',
  (precision) => {
    const metrics = (retrievalWidth?: number) =>
      tolerancesOf(precision, { ...tiny, retrievalWidth }).logits.map(({ metric }) => metric);
    if (precision === 'fp32') expect(metrics()).toContain('sameTop1');
    expect(metrics(128)).toEqual(metrics().filter((metric) => metric !== 'sameTop1'));
    expect(metrics(128)).toContain('relativeL2');
  },
);

test('the absolute bound of f32 logits follows their size, and nothing else does', () => {
  const place = { case: 'x', output: 'logits' };
  const at = (largest: number, gap: number) => {
    const [reference, candidate] = [
      [largest, 1, -2],
      [largest + gap, 1, -2],
    ].map((values): Tensor => ({ dtype: 'f32', shape: [1, 3], data: Float64Array.from(values) }));
    return checkLogits(place, candidate, reference!, TOLERANCES.fp32(tiny), { columns: 3 }).bounds.find(
      ({ metric }) => metric === 'maxAbs',
    )!;
  };
  expect(at(5, 9e-5)).toMatchObject({ atMost: 1e-4, passed: true });
  expect(at(5, 1.1e-4).passed).toBe(false);
  expect(at(54, 5e-4)).toMatchObject({ atMost: 54e-5, passed: true });
  expect(at(54, 6e-4).passed).toBe(false);
  expect(at(Infinity, 0).atMost).toBe(1e-4);
});
