import { z } from 'zod';
import { count, device, number, phase, precision, share } from './fields.ts';

const metrics = z.object({
  maxAbs: number.optional(),
  relativeL2: number.optional(),
  cosine: number.optional(),
  nonFinite: number.optional(),
  meanKld: number.optional().describe('Kullback–Leibler divergence in nats, the reference’s probabilities in front'),
  kld99: number.optional().describe('its 99th percentile'),
  maxKld: number.optional(),
  sameTop1: share.optional().describe('share of positions with the reference’s most likely token, off ties'),
});

const metric = metrics.keyof();
const place = { case: z.string(), output: z.string() };

const check = z.object({
  ...place,
  passed: z.boolean(),
  metrics,
  bounds: z.array(
    z.object({
      metric,
      atMost: number.optional(),
      atLeast: number.optional(),
      ofLargest: number.optional(),
      reason: z.string().describe('why this limit stands'),
      value: number,
      passed: z.boolean(),
    }),
  ),
  at: z.array(z.number()).optional().describe('indices of the first element beyond its limit, or of the worst'),
  note: z.string().optional(),
});

const stage = z.object({
  phase,
  stage: z.string(),
  relativeL2: number,
  maxAbs: number,
  passed: z.boolean(),
  at: z.array(z.number()).optional(),
});

const link = z.object({
  verdict: z.enum(['held', 'failed', 'not tried']),
  reason: z.string().optional().describe('why it was not tried, or what of it was not'),
  tensors: count.optional(),
  elements: count.optional(),
  passed: count.optional(),
  checks: count.optional(),
});

const weights = z.object({
  passed: z.boolean(),
  tensors: count,
  elements: count,
  bytes: number,
  differences: z
    .array(
      z.object({
        tensor: z.string().describe('in the bundle'),
        weight: z.string().describe('in the program'),
        part: z.enum(['values', 'codes', 'scales', 'zeros']),
        file: z.string(),
        offset: z.number(),
        row: z.number(),
        element: z.number(),
        found: z.string(),
        expected: z.string(),
      }),
    )
    .describe('the first of each stored tensor, at most 20'),
  problems: z.array(z.string()),
  unknown: z.array(z.string()).describe('weights of which nothing can be said'),
  unknownBecause: z.string().optional(),
  seconds: number,
});

const bisection = z.object({
  case: z.string(),
  passes: z.array(
    z.object({
      pass: z.string(),
      graph: z.string(),
      changed: z.boolean(),
      calls: count,
      limit: number,
      relativeL2: number,
      passed: z.boolean(),
    }),
  ),
  fault: z
    .object({
      pass: z.string(),
      graph: z.string(),
      call: z.string().optional(),
      place: z.string(),
      value: z.object({ name: z.string(), op: z.string() }).optional(),
      relativeL2: number,
      limit: number,
      note: z.string().optional(),
    })
    .optional()
    .describe('absent: every pass kept the values'),
});

const changed = z.object({ ...place, metric, before: number, now: number, allowed: number });

const baseline = z.object({
  passed: z.boolean(),
  candidate: z.string().describe('the runtime in which the baseline was measured'),
  compared: count,
  worse: z.array(changed).describe('by more than noise; allowed is the worst that noise explains'),
  better: z.array(changed),
  missing: z.array(z.object({ ...place, metric })).describe('in the baseline, and not measured this time'),
});

/** Of a verification. */
export const verification = z.object({
  passed: z.boolean(),
  candidate: z.string().describe('the runtime that ran the bundle'),
  device: device.optional(),
  inParts: z.literal(true).optional().describe('its graphs ran part by part'),
  partsUncompared: z
    .string()
    .optional()
    .describe('of which cases no part was compared on what the reference gave, and why; absent: of none'),
  reference: z.string().optional(),
  original: z.string().optional().describe('where what codes cost was checked: what against'),
  recorded: z.object({ engine: z.string(), version: z.string(), checkpoint: z.string() }).optional(),
  precision,
  checks: z.array(check),
  links: z.object({ weights: link, program: link, original: link }).optional(),
  weights: weights.optional(),
  greedyDifferences: z.array(
    z.object({
      case: z.string(),
      row: z.number(),
      step: z.number(),
      candidate: z.number(),
      reference: z.number(),
      lead: number,
      tie: z.boolean(),
    }),
  ),
  firstDivergingStage: z
    .object({
      case: z.string(),
      phase: z.enum([...phase.options, 'greedy']),
      stage: z.string(),
      metric: z.literal('relativeL2'),
      value: number,
      limit: number,
      stages: z.array(stage),
    })
    .optional(),
  stages: z
    .object({ case: z.string(), limit: number, stages: z.array(stage) })
    .optional()
    .describe('of a bundle that passed, where a report with a plot was asked for'),
  bisection: bisection.optional(),
  baseline: baseline.optional(),
  notes: z.array(z.string()).optional(),
  seconds: number,
});
