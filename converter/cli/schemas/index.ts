import { z } from 'zod';
import { manifestSchema } from '../../bundle/manifest.ts';
import { OUTPUT_VERSIONS, type Output } from '../io.ts';
import { change, count, errorReport } from './fields.ts';
import { quality } from './quality.ts';
import { verification } from './verify.ts';

/** Of `pgconv convert`. */
export const conversion = z.object({
  out: z.string().describe('absolute path of the bundle'),
  manifest: manifestSchema,
  bytes: count,
  warnings: z.array(z.string()),
  changes: z.array(change),
  notes: z.array(z.string()),
  nonFinite: z.array(
    z.object({
      file: z.string(),
      tensor: z.string(),
      dtype: z.string(),
      infinite: count,
      overflowed: count.describe('of them, those that were finite in the checkpoint'),
      nan: count,
    }),
  ),
  samples: z.array(
    z.object({
      name: z.string(),
      image: z.string(),
      prompt: z.string(),
      reference: z.string().describe('what the original said'),
      answer: z.string(),
      same: z.boolean(),
    }),
  ),
  verification: verification.optional().describe('against the checkpoint; absent with --no-verify'),
  original: verification.optional().describe('against the recording of --against'),
});

/** Of `pgconv run`. */
export const answer = z.object({
  pictures: z
    .array(z.string())
    .min(1)
    .describe('files that were asked about, in their order; frames of a video by number'),
  text: z.string(),
  tokens: z.array(z.number()),
  boxes: z.array(
    z.object({
      label: z.string(),
      y0: z.number(),
      x0: z.number(),
      y1: z.number(),
      x1: z.number(),
      mask: z
        .object({
          size: z.tuple([count, count]).describe('height and width of the picture'),
          counts: z.string().describe('COCO’s compressed run-length encoding, as pycocotools reads it'),
        })
        .optional()
        .describe('where the object is; absent without codes in the answer or a mask decoder in the bundle'),
      file: z.string().optional().describe('the PNG of it that --masks wrote'),
    }),
  ),
  problems: z.array(z.object({ offset: z.number(), text: z.string(), message: z.string() })),
  drawn: z.string().optional().describe('the picture that --draw wrote'),
});

const sourceFile = z.object({
  path: z.string(),
  name: z.string().describe('relative to the checkpoint’s folder'),
  byteLength: count,
});

const ofCheckpoint = z.object({
  kind: z.literal('checkpoint'),
  format: z.string(),
  path: z.string(),
  family: z.string(),
  variant: z.string(),
  metadata: manifestSchema.shape.program,
  inferences: manifestSchema.shape.inferences,
  dtypes: z.array(z.object({ dtype: z.string(), bits: z.number(), tensors: count, parameters: count, bytes: count })),
  files: z.array(sourceFile),
  adapters: z.array(z.object({ dir: z.string(), scale: z.number(), files: z.array(sourceFile) })),
  changes: z.array(change),
  ledger: manifestSchema.shape.ledger.describe('docs/ledger.md'),
  tensors: z.array(
    z.object({
      name: z.string(),
      dtype: z.string(),
      shape: z.array(z.number()),
      parameters: count,
      bytes: count,
      file: z.string().optional(),
      offset: z.number().optional(),
    }),
  ),
  warnings: z.array(z.string()),
});

/** Of `pgconv inspect`: what a backend tells of its bundles and files is its own, beside what is named here. */
const inspection = z.union([
  ofCheckpoint,
  z.object({ kind: z.literal('ir'), graph: z.string(), ir: z.string() }),
  z.looseObject({ kind: z.literal('bundle'), path: z.string(), manifest: manifestSchema }),
  z.looseObject({ kind: z.string() }).describe('a file or an export that a backend describes'),
]);

/** Of `pgconv synth`. */
export const synthesized = z.object({ path: z.string(), tensors: count, bytes: count });

const spread = z.object({ median: z.number(), least: z.number(), most: z.number() });

/** Of `pgconv bench`. */
export const benched = z.object({
  runs: count,
  tokens: count.describe('new tokens of each run'),
  bundles: z.array(
    z.object({
      bundle: z.string(),
      backend: z.string(),
      precision: z.string(),
      device: z.string(),
      promptTokens: count.describe('image tokens included'),
      openSeconds: z.number(),
      firstTokenSeconds: spread,
      imageSeconds: spread.describe('of the first token’s, the image tower'),
      prefillTokensPerSecond: spread,
      decodeTokensPerSecond: spread,
      memoryBytes: count.describe('that the process took more; a GPU’s own and a browser’s are not in it'),
    }),
  ),
});

/** Of `pgconv doctor`. */
export const examined = z.object({
  findings: z.array(
    z.object({
      what: z.string().describe('a backend on a device, or what else pgconv can use'),
      state: z.enum(['there', 'missing', 'low']),
      detail: z.string().describe('what was found, or why it is not there'),
      costs: z.string().optional().describe('what cannot be done without it'),
      hint: z.string().optional().describe('what brings it'),
    }),
  ),
});

/** Of `pgconv clean`. */
export const cleaned = z.object({
  leftovers: z.array(
    z.object({
      path: z.string(),
      kind: z.enum(['unfinished bundle', 'replaced bundle', 'lock', 'draft of a file', 'synthetic checkpoint']),
      bytes: count,
      state: z.enum(['removed', 'put back', 'found', 'in use']).describe('found: with --dry-run'),
      by: z.string().optional().describe('the process that uses it, and its machine'),
      kept: z.array(z.string()).optional().describe('files in a replaced bundle’s folder that were not its own'),
    }),
  ),
});

/** Of a command that did not come to its end. */
const failure = z.object({
  error: errorReport,
  verification: verification.optional().describe('of a bundle that does not compute what the original computes'),
});

/** Of commands that write files beside their result. */
const beside = {
  unwritten: z
    .array(errorReport)
    .optional()
    .describe('reports and other files that were asked for and could not be written; absent: none'),
};

const KINDS = {
  convert: conversion.extend(beside),
  inspect: inspection,
  verify: verification.extend(beside),
  record: z.object({ script: z.string() }),
  run: answer.extend(beside),
  quality: quality.extend(beside),
  synth: synthesized,
  clean: cleaned,
  doctor: examined,
  bench: benched,
  error: failure.extend(beside),
} as const satisfies Readonly<Record<Output, z.ZodType>>;

/**
 * The schema of what `--json` prints, of each kind. Fields may be added within a version: who reads leaves those alone
 * that are not known.
 */
export function outputSchema(kind: Output): z.ZodType {
  const head = z.object({
    schema: z.literal(`pgconv-${kind}`),
    schemaVersion: z.literal(OUTPUT_VERSIONS[kind]).describe('raised when a field goes away or changes its meaning'),
  });
  return z.intersection(head, KINDS[kind]);
}
