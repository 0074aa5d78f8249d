import { dirname } from 'node:path';
import { z } from 'zod';
import { readRegularText } from '../../backends/regular_file.js';
import { differencesOf, type Baseline, type Measured, type MeasuredModel } from '../../verify/baseline.ts';
import { makeFolders, replaceFile } from '../disk.js';
import { BadInputError, OutputError, UsageError } from '../errors.ts';
import { outputError } from '../output_error.ts';
import { TOOL } from '../version.ts';

const FORMAT = 'pgconv-baseline';

const size = z.number().nonnegative();

/** docs/ci.md says what it is for. There is no time and no machine in it: the same figures are the same bytes. */
export const baselineSchema = z.object({
  format: z.literal(FORMAT),
  version: z.literal(2),
  tool: z.object({ name: z.string(), version: z.string() }).describe('what measured the figures'),
  candidate: z.string().describe('the runtime in which they were measured'),
  precision: z.string(),
  model: z
    .object({
      family: z.string(),
      variant: z.string(),
      imageSize: size,
      imageTokens: size,
      imageTokenId: z.number(),
      vocabSize: size,
      layers: size,
      kvHeads: size,
      headDim: size,
      hiddenSize: size,
      retrievalWidth: size.optional(),
    } satisfies Record<keyof MeasuredModel, z.ZodType>)
    .describe('sizes and names of the model, which stay when it is trained again'),
  figures: z
    .array(
      z.object({
        case: z.string(),
        output: z.string(),
        metrics: z
          .object({
            maxAbs: size,
            relativeL2: size,
            cosine: z.number().min(-1.001).max(1.001),
            nonFinite: size,
            meanKld: z.number(),
            kld99: z.number(),
            maxKld: z.number(),
            sameTop1: z.number().min(0).max(1),
          })
          .partial(),
      }),
    )
    .min(1),
});

/** Larger than any that is written here. */
const MAX_BASELINE_BYTES = 64 * 1024 * 1024;

const AGAIN = 'write it anew with --update-baseline, from a bundle that you trust';

/** @throws BadInputError `baseline_missing`, `baseline_invalid`, `baseline_old` */
export async function readBaseline(file: string): Promise<Baseline> {
  const text = await readRegularText(file, MAX_BASELINE_BYTES).catch((cause: unknown) => {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new BadInputError(
      missing ? 'baseline_missing' : 'baseline_invalid',
      missing ? 'there is no baseline yet' : `cannot read the baseline: ${(cause as Error).message}`,
      { file, hint: AGAIN },
      { cause },
    );
  });
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new BadInputError(
      'baseline_invalid',
      `the baseline is not JSON: ${(cause as Error).message}`,
      { file, hint: AGAIN },
      { cause },
    );
  }
  if (isOurs(json) && json.version === 1)
    throw new BadInputError('baseline_old', 'the baseline is of an earlier pgconv, and does not say of which model', {
      file,
      hint: AGAIN,
    });
  const parsed = baselineSchema.safeParse(json);
  if (parsed.success) return parsed.data as Baseline;
  const [issue] = parsed.error.issues;
  throw new BadInputError('baseline_invalid', `${issue!.path.join('.') || 'the file'}: ${issue!.message}`, {
    file,
    hint: AGAIN,
  });
}

function isOurs(json: unknown): json is { readonly version: unknown } {
  return typeof json === 'object' && json !== null && 'format' in json && json.format === FORMAT && 'version' in json;
}

/**
 * Refuses figures of something else: before they are measured.
 * @throws UsageError `baseline_of_another`
 */
export function checkBaseline(file: string, before: Measured, now: Measured): void {
  const differences = differencesOf(before, now);
  if (differences.length > 0)
    throw new UsageError('baseline_of_another', differences.join('; '), {
      file,
      hint: 'keep a baseline for each bundle, and name the one of this; remove the file first where it is to be of another now',
    });
}

/**
 * What a baseline that is to be written anew has said, where it is whole. Of what is no baseline, nothing takes the
 * place. @throws OutputError `exists`
 */
export async function readReplaced(file: string): Promise<Baseline | undefined> {
  const text = await readRegularText(file, MAX_BASELINE_BYTES).catch(() => '');
  // one that is damaged, by a merge for example, may be replaced
  if (text.trim() !== '' && !text.includes(`"${FORMAT}"`))
    throw new OutputError('exists', '--update-baseline replaces baselines only, and this file is none', {
      file,
      hint: 'name another file with --baseline, or remove this one first',
    });
  return readBaseline(file).catch(() => undefined);
}

/** @throws OutputError */
export async function writeBaseline(file: string, { candidate, precision, model, figures }: Baseline): Promise<void> {
  const content = { format: FORMAT, version: 2, tool: TOOL, candidate, precision, model, figures };
  const text = `${JSON.stringify(content, null, 2)}\n`;
  try {
    await makeFolders(dirname(file));
    await replaceFile(file, text);
  } catch (error) {
    throw outputError(error, file, '--baseline');
  }
}
