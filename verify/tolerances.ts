import type { RoundedActivations } from '../backends/backend.ts';
import type { FormatName } from '../ir/formats/index.ts';
import type { ProgramMetadata } from '../ir/graph.ts';
import type { Agreement, Difference } from './metrics.ts';
import { f16Ulp, f32MaxAbs, f32RelativeL2, type Sizes } from './rounding.ts';

/** Precisions that bundles come in: floats, or a format of weights. Each must have its row in TOLERANCES. */
export type Precision = 'fp32' | 'fp16' | 'bf16' | FormatName | 'q4f16';

export type MetricName =
  | keyof Pick<Difference, 'maxAbs' | 'relativeL2' | 'cosine' | 'nonFinite'>
  | keyof Pick<Agreement, 'meanKld' | 'kld99' | 'maxKld' | 'sameTop1'>;

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
  /** For masks of codes, whose values are about -1 to 1. */
  readonly masks: readonly Bound[];
  /** For MaxSim scores. */
  readonly scores: readonly Bound[];
  /**
   * For distributions beside the original's, pooled over prompts such as people have: what a precision may cost.
   * `verify` asks it of codes, whose reference is the quantized program: they are far wider than the bounds on that,
   * which hold what computes the codes to them. Of floats the errors say all, and `pgconv quality` alone asks it.
   * Absent for f32.
   */
  readonly quality?: (help: Help) => Quality;
  /** For logits of tokens that see nothing of what was changed behind them. */
  readonly unseen: Bound;
  /** Relative L2 from which a stage counts as diverging. */
  readonly stage: Bound;
  /**
   * The lead over another token that is none, given the best logit: of a rounding of the logits alone. Where errors are
   * bounded, twice their bound is a tie as well.
   */
  readonly tieMargin: (logit: number) => number;
}

/** What codes were chosen by: the weights alone, or also more bits for some of them (`--mixed`) or calibration. */
export type Help = 'none' | 'mixed or calibrated';

/** Bounds on logits against the original's. */
export interface Quality {
  readonly bounds: readonly Bound[];
  /** The lead over another token that is none: within the noise that the bound on the divergence allows. */
  readonly tieMargin: (logit: number) => number;
}

const FINITE: Bound = {
  metric: 'nonFinite',
  atMost: 0,
  reason: 'a value that is not finite where the original has one is a failure, whatever the others are',
};

/**
 * ColPali's vectors are divided by their length in f32, whatever the precision of the rest: 128 squares, a root and a
 * division of f32 err by about 1e-6 at most.
 */
export const TOKEN_LENGTH: Bound = { metric: 'maxAbs', atMost: 1e-5, reason: 'the vector of a token has length 1' };

/** Precisions without codes: activations are rounded only before products by codes. */
const FLOATS: readonly Precision[] = ['fp32', 'fp16', 'bf16'];

/** Two runs that differ in what is not seen. */
const UNSEEN: Bound = {
  metric: 'relativeL2',
  atMost: 1e-6,
  reason: 'the same sums over the same values: at most their order may differ',
};

/**
 * The bounds for a model, whose kernels may round activations to 8 bits before products by codes. A retriever's logits
 * are compared as values only: training left the head of its backbone behind, so no token leads by much, and nobody
 * takes the one that leads.
 */
export function tolerancesOf(
  precision: Precision,
  metadata: Pick<ProgramMetadata, 'layers' | 'hiddenSize' | 'retrievalWidth'>,
  { roundedActivations }: { readonly roundedActivations?: RoundedActivations | undefined } = {},
): Tolerances {
  const computed = TOLERANCES[precision](metadata);
  const tolerances =
    roundedActivations && !FLOATS.includes(precision)
      ? {
          ...rounded(),
          quality: (help: Help) => withRounding(computed.quality!(help)),
          ...(roundedActivations === 'as a whole' && { unseen: sharedRange(rounded()) }),
        }
      : computed;
  if (metadata.retrievalWidth === undefined) return tolerances;
  const values = (bounds: readonly Bound[]) => bounds.filter(({ metric }) => metric !== 'sameTop1');
  const { logits, quality } = tolerances;
  return {
    ...tolerances,
    logits: values(logits),
    ...(quality && { quality: (help: Help) => ({ ...quality(help), bounds: values(quality(help).bounds) }) }),
  };
}

/**
 * Relative L2 of masks in f32: a sum of n terms errs by 2⁻²⁴ / √3 · √(n / 2) of itself (see f32RelativeL2), n is 2048
 * at most, and errors of twelve convolutions add up as squares: 4e-6. Three times it, since masks may be small beside
 * what they are made of.
 */
const MASKS_F32 = 1.2e-5;

/** Arithmetic in f32. */
function f32(sizes: Sizes): Tolerances {
  const relativeL2 = f32RelativeL2(sizes);
  return {
    imageFeatures: [
      FINITE,
      { metric: 'maxAbs', atMost: f32MaxAbs(sizes), reason: 'rounding of f32 over the layers; see f32MaxAbs' },
      {
        metric: 'relativeL2',
        atMost: relativeL2,
        reason: 'rounding of f32 over the layers; see f32RelativeL2. A sound tiny model is at 1e-6',
      },
    ],
    logits: [
      FINITE,
      {
        metric: 'maxAbs',
        atMost: f32MaxAbs(sizes),
        ofLargest: relativeL2,
        reason:
          'rounding of f32 over the layers; see f32MaxAbs. It grows with the logits: PyTorch is 1.1e-4 to 2.5e-4 from float64, and from itself with a cache, on logits to 54 (pg2-28b-tiny); the share is the bound on relative L2',
      },
      {
        metric: 'relativeL2',
        atMost: relativeL2,
        reason: 'logits of a small model may all lie below the absolute bound',
      },
      { metric: 'sameTop1', atLeast: 1, reason: 'f32 must choose the same tokens off ties' },
    ],
    embeddings: [
      FINITE,
      {
        metric: 'maxAbs',
        atMost: f32MaxAbs(sizes) / 10,
        reason: 'as for logits; but vectors of length 1 have no element above 1, where logits reach 40',
      },
      {
        metric: 'relativeL2',
        atMost: relativeL2,
        reason: 'as for logits; of vectors of length 1 it is their rms distance, in radians',
      },
    ],
    masks: [
      FINITE,
      {
        metric: 'maxAbs',
        atMost: 1e-4,
        reason: 'twelve convolutions of at most 1152 terms on values of about 1: Flax and PyTorch are 9e-6 apart',
      },
      { metric: 'relativeL2', atMost: MASKS_F32, reason: 'see MASKS_F32' },
    ],
    scores: [
      FINITE,
      {
        metric: 'relativeL2',
        atMost: relativeL2,
        reason: 'a score is a sum of cosines: it errs no more than the vectors that it is made of',
      },
    ],
    unseen: UNSEEN,
    stage: { metric: 'relativeL2', atMost: relativeL2, reason: 'as for the outputs: stages lead up to them' },
    tieMargin: () => 1e-3,
  };
}

/** Relative L2 of logits of products in f16, at most. */
const F16_LOGITS = 1e-2;

/**
 * A single logit, by the largest there is. Errors of a rounding are near to normal: of 10^5 the largest is 4.4 times
 * their rms, and the largest logit is 3 times the rms of all or more, so one errs by 1.5 of the relative L2; twice
 * that.
 */
const OF_LARGEST = 3;

function largest(relativeL2: number): Bound {
  return {
    metric: 'maxAbs',
    atMost: 0,
    ofLargest: OF_LARGEST * relativeL2,
    reason: 'one logit that is off must not hide among many that are not; see OF_LARGEST',
  };
}

/** Products in f16, the rest in f32. */
function f16(): Tolerances {
  return {
    imageFeatures: [
      FINITE,
      {
        metric: 'relativeL2',
        atMost: 5e-3,
        reason:
          'a rounding to 11 bits errs by about 2e-4 (rms); √(27 layers · 4 products in a row) of them give 2e-3, doubled for outliers; tiny models are at 1e-3',
      },
      {
        metric: 'cosine',
        atLeast: 0.9999,
        reason: 'the direction must stay where the bound on relative L2 allows a uniform scale',
      },
    ],
    logits: [
      FINITE,
      {
        metric: 'relativeL2',
        atMost: F16_LOGITS,
        reason: 'twice the image features’ bound, which the decoder starts from; sound models are at 3e-3',
      },
      largest(F16_LOGITS),
    ],
    embeddings: [
      FINITE,
      {
        metric: 'relativeL2',
        atMost: 1e-2,
        reason: 'as for logits; of vectors of length 1 it is their rms distance, in radians',
      },
      { metric: 'maxAbs', atMost: 2e-2, reason: 'one vector that is off must not hide among many that are not' },
    ],
    masks: [
      FINITE,
      {
        metric: 'relativeL2',
        atMost: 5e-3,
        reason:
          'a rounding to 11 bits errs by about 2e-4 (rms); √(12 convolutions · 2) of them give 1e-3, and a mask may be small beside what it is made of: five times that',
      },
    ],
    scores: [
      FINITE,
      {
        metric: 'relativeL2',
        atMost: 1e-2,
        reason: 'a score is a sum of cosines: it errs no more than the vectors that it is made of',
      },
    ],
    unseen: UNSEEN,
    stage: { metric: 'relativeL2', atMost: 1e-2, reason: 'as for logits' },
    // The head's result is itself rounded to f16: two logits closer than one unit may become equal or swap by that
    // alone, and the rounding of the head's input is as large again. A fixed 1e-3 would be under a tenth of a unit at
    // logits of 16.
    tieMargin: (logit) => Math.max(1e-3, 2 * f16Ulp(logit)),
    quality: () => ({
      bounds: [
        FINITE,
        {
          metric: 'meanKld',
          atMost: 1e-4,
          reason: 'llama.cpp’s published fp16 of Llama 3 8B has 2.5e-5; four times that',
        },
        { metric: 'sameTop1', atLeast: 0.995, reason: 'llama.cpp’s published fp16 of Llama 3 8B, off ties' },
      ],
      tieMargin: (logit) => Math.max(1e-3, 2 * f16Ulp(logit)),
    }),
  };
}

/** Products in bf16: 8 bits where f16 has 11, so that each rounding is 8 times as coarse. */
function bf16(): Tolerances {
  return {
    imageFeatures: [
      FINITE,
      { metric: 'relativeL2', atMost: 4e-2, reason: '8 times the bound of f16, as its unit is' },
      {
        metric: 'cosine',
        atLeast: 0.999,
        reason: '1 - cosine is half the square of the relative error: 8e-4 at its bound',
      },
    ],
    logits: [
      FINITE,
      { metric: 'relativeL2', atMost: 8 * F16_LOGITS, reason: '8 times the bound of f16, as its unit is' },
      largest(8 * F16_LOGITS),
    ],
    embeddings: [
      FINITE,
      {
        metric: 'relativeL2',
        atMost: 8e-2,
        reason: 'as for logits; of vectors of length 1 it is their rms distance, in radians',
      },
    ],
    masks: [FINITE, { metric: 'relativeL2', atMost: 4e-2, reason: '8 times the bound of f16, as its unit is' }],
    scores: [
      FINITE,
      {
        metric: 'relativeL2',
        atMost: 8e-2,
        reason: 'a score is a sum of cosines: it errs no more than the vectors that it is made of',
      },
    ],
    unseen: UNSEEN,
    stage: { metric: 'relativeL2', atMost: 8e-2, reason: 'as for logits' },
    tieMargin: (logit) => Math.max(1e-3, 16 * f16Ulp(logit)),
    quality: () => ({
      bounds: [
        FINITE,
        {
          metric: 'meanKld',
          atMost: 2e-3,
          reason:
            'the divergence grows with the square of the error: 64 times the 2.5e-5 of f16 (llama.cpp, Llama 3 8B) is 1.6e-3',
        },
        { metric: 'sameTop1', atLeast: 0.975, reason: 'as for int8, whose divergence is as large' },
      ],
      tieMargin: (logit) => Math.max(1e-3, 16 * f16Ulp(logit)),
    }),
  };
}

/** No more than codes of 8 bits may cost (llama.cpp’s published q8_0 of Llama 3 8B: 1.4e-3). */
const ROUNDED_KLD = 2e-3;

/**
 * Products by codes of activations that are rounded to signed bytes, with a scale for 32 of them. The largest of 32
 * normal numbers is 2.1 times their rms, a step of it 1/127 and the rms error of rounding 1/√12 of that: 0.5 % a
 * product, where bf16 errs by 0.1 % in every op. What the codes cost is bounded apart (`quality`), and no wider for it.
 */
function rounded(): Tolerances {
  const relativeL2 = 8e-2;
  return {
    imageFeatures: [
      FINITE,
      {
        metric: 'relativeL2',
        atMost: 5e-2,
        reason: '0.5 % a product: √(27 layers · 4 products in a row) of them are 5 %; a tiny model is at 1.4 %',
      },
      {
        metric: 'cosine',
        atLeast: 0.998,
        reason: '1 - cosine is half the square of the relative error: 1.3e-3 at its bound',
      },
    ],
    logits: [
      FINITE,
      {
        metric: 'relativeL2',
        atMost: relativeL2,
        reason:
          'the image features’ bound and as much again for the decoder, added as independent errors; tiny models are at 2.8 %',
      },
      largest(relativeL2),
    ],
    embeddings: [
      FINITE,
      {
        metric: 'relativeL2',
        atMost: relativeL2,
        reason: 'as for logits; of vectors of length 1 it is their rms distance, in radians',
      },
    ],
    // its products are by no codes
    masks: f32({ layers: 1, hiddenSize: 1 }).masks,
    scores: [
      FINITE,
      {
        metric: 'relativeL2',
        atMost: relativeL2,
        reason: 'a score is a sum of cosines: it errs no more than the vectors that it is made of',
      },
    ],
    unseen: UNSEEN,
    stage: { metric: 'relativeL2', atMost: relativeL2, reason: 'as for logits' },
    tieMargin: () => 2 * Math.sqrt(ROUNDED_KLD),
  };
}

/**
 * Noise of standard deviation σ on each logit makes a divergence of about σ² / 2 (half the variance under the
 * original's distribution), and errors by √2 σ = 2 √divergence in the lead of one token over another. Cases of random
 * tokens leave any model undecided: int8 changes a tenth of the top tokens of one at a divergence of 8e-5, all within a
 * lead of 0.05.
 */
function qualityOf(meanKld: number, kldReason: string, sameTop1: number, top1Reason: string): Quality {
  return {
    bounds: [
      FINITE,
      { metric: 'meanKld', atMost: meanKld, reason: kldReason },
      { metric: 'sameTop1', atLeast: sameTop1, reason: top1Reason },
    ],
    tieMargin: () => 2 * Math.sqrt(meanKld),
  };
}

/** A token that is not seen has a part in the range to which those that are computed beside it are rounded. */
function sharedRange({ stage }: Tolerances): Bound {
  return {
    metric: 'relativeL2',
    atMost: stage.atMost!,
    reason: 'activations are rounded to a range that all tokens share, so a later one moves how earlier ones are',
  };
}

/**
 * The same bounds where activations are rounded as well: what parts from the original then are two independent errors,
 * whose variances, and so divergences, add up. How activations are rounded differs between processors (with VNNI or
 * without), and which tokens within that noise change with it.
 */
function withRounding({ bounds }: Quality): Quality {
  const meanKld = bounds.find(({ metric }) => metric === 'meanKld')!.atMost!;
  return { bounds, tieMargin: () => 2 * Math.sqrt(meanKld + ROUNDED_KLD) };
}

/** Codes of 8 bits. */
function int8Quality(): Quality {
  return qualityOf(
    2e-3,
    'llama.cpp’s published q8_0 of Llama 3 8B, blocks of 32 too, has 1.4e-3',
    0.975,
    'llama.cpp’s published q8_0 of Llama 3 8B, off ties',
  );
}

/** Codes of 4 bits in blocks of 32. */
function int4Quality(help: Help): Quality {
  const assisted = help !== 'none';
  const kldReason =
    'llama.cpp’s published q4_K_M of Llama 3 8B, mixed and without data, has 0.0313: more bits for some weights or calibration must do better, codes of the weights alone may be a little worse';
  return qualityOf(
    assisted ? 0.03 : 0.04,
    kldReason,
    assisted ? 0.93 : 0.92,
    'llama.cpp’s published q4_K_M of Llama 3 8B, off ties',
  );
}

/**
 * Codes of nf4, in blocks of 64, chosen without a search. Their noise is 1.2 to 1.5 dB above that of int4's codes with
 * integer zero points (ir/quantize/quality.test.ts), which is 1.3 to 1.4 times its power, and the divergence grows with
 * the power.
 */
function nf4Quality(help: Help): Quality {
  const assisted = help !== 'none';
  return qualityOf(
    assisted ? 0.042 : 0.056,
    '1.4 times the bound of int4, as the power of the noise of its weights is; shapes is at 1.3e-2 mixed, 2.1e-2 not',
    assisted ? 0.917 : 0.905,
    'tokens change with the noise, which is 1.2 times that of int4: 1.2 times as many may',
  );
}

export const TOLERANCES: { readonly [P in Precision]: (sizes: Sizes) => Tolerances } = {
  fp32: f32,
  fp16: f16,
  bf16,
  int8: (sizes) => ({ ...f32(sizes), quality: int8Quality }),
  int4: (sizes) => ({ ...f32(sizes), quality: int4Quality }),
  nf4: (sizes) => ({ ...f32(sizes), quality: nf4Quality }),
  q4f16: () => ({ ...f16(), quality: int4Quality }),
};
