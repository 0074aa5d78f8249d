import { sizeProblem } from '../client/model_sizes.ts';
import * as z from 'zod/mini';

/** What the driver reads first: which graph models there are, and how they belong together. */
export const PLAN_PATH = 'tfjs.json';
/** Raised when a driver of the last version would misread a bundle. */
export const PLAN_VERSION = 1;

/** A relative path below the bundle, with `/`. */
const path = z.string().check(z.regex(/^(?!\/)(?!.*(?:^|\/)\.\.?(?:\/|$))[^\\:]+$/, 'a path below the bundle'));
const count = z.int().check(z.nonnegative());
/** Numbers, or sizes by name: `batch_size`, `2*seq`. */
const shape = z.array(z.union([count, z.string()]));
const port = z.strictObject({ name: z.string(), dtype: z.enum(['float32', 'int32', 'bool']), shape });

/** One weight as tfjs's weightsManifest states it. */
export const weightSpec = z.looseObject({
  name: z.string(),
  shape: z.array(count),
  dtype: z.enum(['float32', 'int32', 'bool']),
  quantization: z.optional(
    z.looseObject({ dtype: z.enum(['uint8', 'float16']), scale: z.optional(z.number()), min: z.optional(z.number()) }),
  ),
});
export type WeightSpec = z.infer<typeof weightSpec>;

/** Weights one after the other in the bytes of `paths`, one after the other. */
export const weightGroup = z.looseObject({ paths: z.array(path).check(z.minLength(1)), weights: z.array(weightSpec) });
export type WeightGroup = z.infer<typeof weightGroup>;

/**
 * How rows of a table are stored, by the names of weights: floats, or codes with scales (and zero points) of blocks:
 * affine ones, or of a codebook.
 */
const storage = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('float'), weight: z.string() }),
  z.strictObject({
    kind: z.literal('codes'),
    bits: z.union([z.literal(4), z.literal(8)]),
    block: count,
    codebook: z.optional(z.array(z.number())),
    codes: z.string(),
    scales: z.string(),
    zeros: z.optional(z.string()),
  }),
]);

/**
 * Rows of a table from `firstRow` on; those that no run has are 0. `folder` is the part whose weights they are, or
 * absent: they are the table's own.
 */
const run = z.strictObject({ firstRow: count, rows: count, folder: z.optional(path), storage });
export type TableRun = z.infer<typeof run>;

const table = z.strictObject({
  input: z.string(),
  ids: z.string(),
  rows: count,
  columns: count,
  runs: z.array(run),
  weights: z.array(weightGroup),
});
export type TablePlan = z.infer<typeof table>;

const graph = z.strictObject({
  name: z.string(),
  /** What the whole takes and gives, before joins. */
  inputs: z.array(port),
  outputs: z.array(port),
  parts: z
    .array(z.strictObject({ folder: path, inputs: z.array(z.string()), outputs: z.array(z.string()) }))
    .check(z.minLength(1)),
  /** Outputs in pieces along an axis, with the index and the value of the largest element of each piece. */
  joins: z.array(
    z.strictObject({ output: z.string(), axis: count, pieces: z.array(z.string()), rows: z.array(count) }),
  ),
  caches: z.array(z.strictObject({ past: z.string(), present: z.string() })),
  tables: z.array(table),
});
export type GraphPlan = z.infer<typeof graph>;

const facts = z.strictObject({
  family: z.string(),
  variant: z.string(),
  imageSize: count,
  imageTokens: count,
  imageTokenId: count,
  vocabSize: count,
  layers: count,
  kvHeads: count,
  headDim: count,
  hiddenSize: count,
  bosTokenId: count,
  eosTokenId: count,
  padTokenId: count,
  maxPositions: count,
  retrievalWidth: z.optional(count),
  maskSize: z.optional(count),
  stopTokenIds: z.optional(z.readonly(z.array(count).check(z.minLength(1)))),
});

/** docs/bundle-format.md says what each field is. */
export const planSchema = z.strictObject({
  version: z.literal(PLAN_VERSION),
  profile: z.enum(['std', 'packed']),
  precision: z.string(),
  model: facts,
  graphs: z.array(graph).check(z.minLength(1)),
  files: z.array(z.strictObject({ path, bytes: count })),
});
export type TfjsPlan = z.infer<typeof planSchema>;

/** What is wrong with a plan: of a later version, or not what it should be. */
export class PlanError extends Error {
  override readonly name = 'PlanError';
  readonly code: 'newer' | 'damaged';

  constructor(code: 'newer' | 'damaged', message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** @throws PlanError */
export function parsePlan(text: string): TfjsPlan {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new PlanError('damaged', `${PLAN_PATH} is no JSON`, { cause });
  }
  const { version } = (json ?? {}) as { readonly version?: unknown };
  if (typeof version === 'number' && version > PLAN_VERSION)
    throw new PlanError(
      'newer',
      `${PLAN_PATH} is of version ${version}, this driver reads ${PLAN_VERSION}: use a newer pgconv`,
    );
  const parsed = planSchema.safeParse(json);
  if (!parsed.success) throw new PlanError('damaged', `${PLAN_PATH}: ${z.prettifyError(parsed.error)}`);
  const problem = sizeProblem(parsed.data.model);
  if (problem !== undefined) throw new PlanError('damaged', `${PLAN_PATH}: ${problem}`);
  return parsed.data;
}
