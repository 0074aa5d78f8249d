import { BALANCES } from '../../precision/balance.ts';
import { z } from 'zod';
import { count, device, number, phase, precision, share } from './fields.ts';

const tasks = z.object({
  sameText: share.describe('answers that are the original’s, character by character'),
  judged: count.optional(),
  right: count.optional(),
  boxIou: share.optional(),
  boxIouTruth: share.optional(),
  maskIou: share.optional().describe('overlap with the masks of the original, mean over the cases with true masks'),
  maskIouTruth: share.optional().describe('the same with the masks that are right'),
});

const stage = { phase, stage: z.string(), snr: number.describe('dB'), cosine: number };

const variant = {
  label: z.string(),
  backend: z.string(),
  precision,
  settings: z.object({
    algorithm: z.enum(['rtn', 'search', 'hqq', 'gptq']).optional(),
    balance: z.enum(BALANCES).optional(),
    mixed: z.string().optional(),
    calibrate: z.string().optional(),
    budget: z.number().optional(),
    targetKld: z.number().optional(),
  }),
};

const result = z.object({
  ...variant,
  positions: count,
  meanKld: number.describe('Kullback–Leibler divergence in nats, the reference’s probabilities in front'),
  meanKldError: number.describe('standard error of the mean'),
  kld99: number,
  maxKld: number,
  sameTop1: share,
  sameTop1OffTies: share,
  rmsDeltaP: number,
  maxAbsLogit: number,
  nonFinite: count,
  runtime: z.string(),
  device: device.optional(),
  help: z.enum(['none', 'mixed or calibrated']),
  bytes: count,
  weightBytes: count,
  bitsPerWeight: number,
  greedy: z.object({ same: count, tie: count, different: count }),
  tasks,
  taskDrop: number.optional().describe('right answers that are lost, in percentage points'),
  tokensPerSecond: number,
  stages: z.array(z.object(stage)),
  stageLimit: number,
  firstDiverging: z.object(stage).optional(),
  steepest: z.object({ ...stage, drop: number }).optional(),
  verdicts: z.array(
    z.object({
      metric: z.enum([
        'maxAbsLogit',
        'meanKld',
        'sameTop1',
        'sameTop1OffTies',
        'greedyDifferent',
        'taskDrop',
        'maskDrop',
      ]),
      atMost: number.optional(),
      atLeast: number.optional(),
      reason: z.string(),
      value: number,
      passed: z.boolean(),
    }),
  ),
  passed: z.boolean(),
  different: z.array(
    z.object({
      case: z.string(),
      prompt: z.string(),
      reference: z.string(),
      answer: z.string(),
      verdict: z.enum(['same', 'tie', 'different']),
      truth: z.string().optional(),
      minMargin: number.optional(),
    }),
  ),
});

const range = z.object({ min: number, max: number, absMax: number, nonFinite: count, count });

/** Of `pgconv quality`. */
export const quality = z.object({
  tool: z.object({ name: z.string(), version: z.string() }),
  checkpoint: z.array(z.string()),
  model: z.string(),
  parameters: count,
  cases: z.object({
    source: z.string(),
    count,
    withTruth: count,
    withMasks: count.optional().describe('cases of which masks are judged'),
    positions: count,
  }),
  reference: z.object({
    kind: z.enum(['evaluator', 'bundle']),
    description: z.string(),
    why: z.string(),
    checked: z.object({ cases: count, maxAbsLogit: number, sameTop1OffTies: share }).optional(),
    recorded: z.object({ same: count, of: count }).optional(),
    tasks,
  }),
  variants: z.array(result),
  failures: z.array(z.object({ ...variant, code: z.string(), message: z.string() })),
  ranges: z
    .object({
      cases: count,
      values: z.array(z.object({ graph: z.string(), value: z.string(), absMax: number })),
      findings: z.array(
        z.object({
          graph: z.string(),
          value: z.string(),
          kind: z.enum(['overflow', 'scores', 'underflow', 'not finite']),
          range,
          kept: z.boolean(),
        }),
      ),
    })
    .optional(),
  passed: z.boolean(),
});
