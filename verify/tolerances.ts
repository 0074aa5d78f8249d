import type { ProgramMetadata } from '../ir/graph.ts';
import type { Agreement, Difference } from './metrics.ts';

/** Precisions that bundles come in. Each must have its row in TOLERANCES. */
export type Precision = 'fp32' | 'fp16';

export type MetricName = keyof Pick<Difference, 'maxAbs' | 'relativeL2' | 'cosine' | 'nonFinite'> | keyof Pick<Agreement, 'meanKld' | 'kld99' | 'maxKld' | 'sameTop1'>;

/** One line of the verdict: the metric, the limit, and why it is there. */
export interface Bound {
  readonly metric: MetricName;
  readonly atMost?: number;
  readonly atLeast?: number;
  /** Of maxAbs: the limit is at least this share of the reference's largest magnitude. */
  readonly ofLargest?: number;
  readonly reason: string;
}

export interface Tolerances {
  readonly imageFeatures: readonly Bound[];
  /** For logits of prefill, of the teacher-forced suffix and of greedy steps. */
  readonly logits: readonly Bound[];
  /** For ColPali's vectors, those of padding included. */
  readonly embeddings: readonly Bound[];
  /** For MaxSim scores. */
  readonly scores: readonly Bound[];
  /** Relative L2 from which a stage counts as diverging. */
  readonly stage: Bound;
  /** The lead over another token that is none, given the best logit. */
  readonly tieMargin: (logit: number) => number;
}

type Sizes = Pick<ProgramMetadata, 'layers' | 'hiddenSize'>;

const FINITE: Bound = { metric: 'nonFinite', atMost: 0, reason: 'a value that is not finite where the original has one is a failure, whatever the others are' };

/** Sizes of the model whose f32 reference implementations were compared: 3 layers of width 64. */
const TINY = 3 * 64;

/**
 * Two exact-in-theory f32 implementations differ by rounding only. Errors of independent roundings add up like a random
 * walk over the layers of the residual stream and over the terms of a sum, so the bound grows with √(layers · width):
 * 1e-4 at 3 × 64, where Flax and PyTorch are 5e-6 to 5e-5 apart on logits near 40; it reaches the ceiling of 1e-3 before
 * 18 × 2048, the size of a 3B model.
 */
export function f32MaxAbs({ layers, hiddenSize }: Sizes): number {
  return Math.min(1e-3, 1e-4 * Math.max(1, Math.sqrt((layers * hiddenSize) / TINY)));
}

/** ColPali's vectors are divided by their length in f32, whatever the precision of the rest: 128 squares, a root and a division of f32 err by about 1e-6 at most. */
export const TOKEN_LENGTH: Bound = { metric: 'maxAbs', atMost: 1e-5, reason: 'the vector of a token has length 1' };

/** One unit in the last place of binary16 at this magnitude. */
export function f16Ulp(x: number): number {
  return 2 ** (Math.max(-14, Math.floor(Math.log2(Math.abs(x) || 2 ** -14))) - 10);
}

/**
 * The bounds for a model. A retriever's logits are compared as values only: training left the head of its backbone behind, so
 * no token leads by much, and nobody takes the one that leads.
 */
export function tolerancesOf(precision: Precision, metadata: Pick<ProgramMetadata, 'layers' | 'hiddenSize' | 'retrievalWidth'>): Tolerances {
  const tolerances = TOLERANCES[precision](metadata);
  return metadata.retrievalWidth === undefined ? tolerances : { ...tolerances, logits: tolerances.logits.filter(({ metric }) => metric !== 'sameTop1') };
}

export const TOLERANCES: { readonly [P in Precision]: (sizes: Sizes) => Tolerances } = {
  fp32: (sizes) => ({
    imageFeatures: [
      FINITE,
      { metric: 'maxAbs', atMost: f32MaxAbs(sizes), reason: 'rounding of f32 over the layers; see f32MaxAbs' },
      { metric: 'relativeL2', atMost: 1e-5, reason: '84 units of f32; a tenth of what exact instead of tanh gelu does, the smallest fault with ordinary inputs; a sound tiny model is at 1e-6' },
    ],
    logits: [
      FINITE,
      {
        metric: 'maxAbs',
        atMost: f32MaxAbs(sizes),
        ofLargest: 1e-5,
        reason: 'rounding of f32 over the layers; see f32MaxAbs. It grows with the logits: PyTorch is 1.1e-4 to 2.5e-4 from float64, and from itself with a cache, on logits to 54 (pg2-28b-tiny); the share is the bound on relative L2',
      },
      { metric: 'relativeL2', atMost: 1e-5, reason: 'logits of a small model may all lie below the absolute bound' },
      { metric: 'sameTop1', atLeast: 1, reason: 'f32 must choose the same tokens off ties' },
    ],
    embeddings: [
      FINITE,
      { metric: 'maxAbs', atMost: f32MaxAbs(sizes) / 10, reason: 'as for logits; but vectors of length 1 have no element above 1, where logits reach 40' },
      { metric: 'relativeL2', atMost: 1e-5, reason: 'as for logits; of vectors of length 1 it is their rms distance, in radians' },
    ],
    scores: [FINITE, { metric: 'relativeL2', atMost: 1e-5, reason: 'a score is a sum of cosines: it errs no more than the vectors that it is made of' }],
    stage: { metric: 'relativeL2', atMost: 1e-5, reason: 'as for the outputs: stages lead up to them' },
    tieMargin: () => 1e-3,
  }),
  fp16: () => ({
    imageFeatures: [
      FINITE,
      {
        metric: 'relativeL2',
        atMost: 5e-3,
        reason: 'a rounding to 11 bits errs by about 2e-4 (rms); √(27 layers · 4 products in a row) of them give 2e-3, doubled for outliers; tiny models are at 1e-3',
      },
      { metric: 'cosine', atLeast: 0.9999, reason: 'the direction must stay where the bound on relative L2 allows a uniform scale' },
    ],
    logits: [
      FINITE,
      { metric: 'meanKld', atMost: 1e-4, reason: 'llama.cpp’s published fp16 of Llama 3 8B has 2.5e-5; four times that' },
      { metric: 'sameTop1', atLeast: 0.995, reason: 'llama.cpp’s published fp16 of Llama 3 8B, off ties' },
      { metric: 'relativeL2', atMost: 1e-2, reason: 'a divergence blind to a shift of all logits must not hide one; twice the image features’ bound, which the decoder starts from' },
    ],
    embeddings: [
      FINITE,
      { metric: 'relativeL2', atMost: 1e-2, reason: 'as for logits; of vectors of length 1 it is their rms distance, in radians' },
      { metric: 'maxAbs', atMost: 2e-2, reason: 'one vector that is off must not hide among many that are not' },
    ],
    scores: [FINITE, { metric: 'relativeL2', atMost: 1e-2, reason: 'a score is a sum of cosines: it errs no more than the vectors that it is made of' }],
    stage: { metric: 'relativeL2', atMost: 1e-2, reason: 'as for logits' },
    // The head's result is itself rounded to f16: two logits closer than one unit may become equal or swap by that alone, and
    // the rounding of the head's input is as large again. A fixed 1e-3 would be under a tenth of a unit at logits of 16.
    tieMargin: (logit) => Math.max(1e-3, 2 * f16Ulp(logit)),
  }),
};
