import type { Program } from '../../../ir/graph.ts';
import type { Scratch } from '../../../ir/observe/kept_rows.ts';
import type { TensorData } from '../../../ir/tensor.ts';
import type { Processor } from '../../../backends/client/images/processor.ts';
import { UsageError } from '../../errors.ts';
import type { Inputs } from '../../inputs/inputs.ts';
import type { Reporter } from '../../terminal/reporter.ts';
import { withSteps } from '../../terminal/steps.ts';
import type { Tokenizer } from '../../text/tokenizer.ts';
import { fastKernels } from '../fast_kernels.ts';
import { calibrate, type Calibration } from './calibrate.ts';
import { judgesAmong } from './judges.ts';
import { defaultSamples } from '../../samples/default_samples.ts';
import { folderSamples } from '../../samples/folder_samples.ts';

export { describeFinding, enforceFindings } from './findings.ts';

/** The built-in set, and no calibration: all else that `--calibrate` says is a folder. */
export const BUILT_IN = 'default';
export const NO_CALIBRATION = 'none';

/**
 * Weights, as f32, up to which calibration is taken for granted and done in float64: a model of this size takes
 * seconds. Beyond, products go through ONNX Runtime where it is installed, and a 3B takes minutes.
 */
const SMALL_BYTES = 512 * 1024 * 1024;

/**
 * Tokens of an answer that choose and judge codes: where a model writes is where its codes count. A 3B takes seconds
 * for each of them and reads two behind its first pictures.
 */
const ANSWER_TOKENS = 16;

/**
 * Pictures behind which a larger model reads tokens of its answer: enough for what the branch with a cache computes.
 * Every token reads all weights again, as a picture does with its prompt.
 */
const LARGE_MODEL_ANSWERS = 2;

/**
 * Pictures with prompts that a larger model is shown at once: each weight is read and widened once for all of them. A
 * 3B holds 200 MB more for each, and 1 GiB is what calibration may take.
 */
const LARGE_MODEL_TOGETHER = 2;

/** Pictures of the built-in set that a larger model is shown, unasked or asked: a 3B takes minutes for each. */
const LARGE_MODEL_PICTURES = 2;

export interface CalibrationRequest {
  /** What `--calibrate` says; undefined when it is not given. */
  readonly calibrate: string | undefined;
  /** Whether anything comes of it unasked: an activation dtype that may overflow. */
  readonly narrows: boolean;
  /** Whether the bundle is verified too: then calibrating a large model is the smaller part. */
  readonly verify: boolean;
  readonly tokenizer: Tokenizer | undefined;
  readonly processor: Processor;
  /** Which pictures and prompts of a folder are among. */
  readonly inputs: Inputs;
  /** Whether codes are chosen by it: a small model then also answers. */
  readonly guides?: boolean;
  /** Whether all that it is for is codes that others judge. */
  readonly needsJudge?: boolean;
  /** For what GPTQ asks for; default it is not kept. */
  readonly scratch?: Scratch | undefined;
  readonly signal?: AbortSignal;
}

export interface ShownCalibration extends Calibration {
  /** Pictures with prompts of the set that were not shown. */
  readonly leftOut: number;
}

/** The set to calibrate on; undefined for none. */
export function chosenSet(
  program: Program,
  { calibrate: asked, narrows, verify }: Pick<CalibrationRequest, 'calibrate' | 'narrows' | 'verify'>,
): string | undefined {
  if (asked === NO_CALIBRATION) return undefined;
  if (asked !== undefined) return asked;
  return narrows && (verify || isSmall(program)) ? BUILT_IN : undefined;
}

/** Said of a bundle whose activations may overflow unseen. */
export const UNCALIBRATED =
  'activations were not looked at: some may not fit f16 and become infinite. --calibrate default keeps those in f32 that come near.';

/**
 * Calibrates as asked, or, when nobody asked, with the built-in set where that is cheap beside the rest of the
 * conversion. Undefined when it is not done. @throws UsageError, BadInputError for a folder that does not do
 */
export async function runCalibration(
  program: Program,
  request: CalibrationRequest,
  reporter: Reporter,
): Promise<ShownCalibration | undefined> {
  const { tokenizer, processor, inputs, guides = false, needsJudge = false, scratch, signal } = request;
  const set = chosenSet(program, request);
  if (set === undefined) return undefined;
  const small = isSmall(program);
  const { samples, leftOut } =
    set === BUILT_IN
      ? {
          samples: defaultSamples(program.metadata, { tokenizer, processor }).slice(
            0,
            small ? undefined : LARGE_MODEL_PICTURES,
          ),
          leftOut: 0,
        }
      : await folderSamples(set, { metadata: program.metadata, tokenizer, processor, inputs });
  if (needsJudge && judgesAmong(samples).pictures.judged === 0)
    throw new UsageError(
      'nothing_judges_codes',
      'one picture chooses neither codes nor bits: none is left to judge them',
      {
        file: set,
        hint: 'put at least two different pictures there (of four or more every fourth judges), or leave out what asks for it',
      },
    );
  const kernels = small ? undefined : await fastKernels();
  const calibration = await withSteps(
    reporter,
    `calibrate on ${samples.length} ${samples.length === 1 ? 'picture' : 'pictures'}`,
    (onProgress) =>
      calibrate(program, {
        samples,
        ...(scratch && { scratch }),
        ...(small && guides && { newTokens: ANSWER_TOKENS }),
        ...(!small && { answered: LARGE_MODEL_ANSWERS, together: LARGE_MODEL_TOGETHER }),
        onProgress,
        ...(kernels && { kernels }),
        ...(signal && { signal }),
      }),
  );
  return { ...calibration, leftOut };
}

/** Whether a model is so small that what takes a large one hours is done unasked. */
export function isSmall({ graphs }: Program): boolean {
  const weights = new Set<TensorData>(
    graphs.flatMap(({ constants }) => constants.flatMap((c) => (c.kind === 'weight' ? [c.data] : []))),
  );
  return [...weights].reduce((total, data) => total + data.byteLength, 0) <= SMALL_BYTES;
}
