import { createHash } from 'node:crypto';
import { evaluatorRunner, type Kernels } from '../../../ir/evaluate.ts';
import type { Program } from '../../../ir/graph.ts';
import { foldConstants, runPassesOnProgram } from '../../../ir/passes/index.ts';
import type { Observer } from '../../../ir/observe/observer.ts';
import { rangeCollector, type Ranges } from '../../../ir/observe/ranges.ts';
import { secondMoments, type MomentOptions, type SecondMoments } from '../../../ir/observe/second_moments.ts';
import { tensorOf } from '../../../ir/tensor.ts';
import { encodeImages, extend, prefill } from '../../../verify/decode.ts';
import { choose } from '../../../verify/metrics.ts';
import { lastPositions, rowsOf } from '../../../verify/rows.ts';
import type { CalibrationSample } from '../../samples/calibration_sample.ts';

/**
 * Greedy tokens read after each prompt: they pass through the branch of the decoder that has a cache. Each reads every
 * weight again.
 */
const NEW_TOKENS = 2;

export interface CalibrateOptions extends MomentOptions {
  readonly samples: readonly CalibrationSample[];
  /** Faster products (`loadFastKernels`); default the evaluator's own, in float64. */
  readonly kernels?: Kernels;
  /** Hears of computed and all linear layers, over all samples. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Stops between two nodes: the reason is thrown. */
  readonly signal?: AbortSignal;
}

/** What a model computes on samples. */
export interface Calibration {
  /** With folded constants: the graphs whose values `ranges` names. */
  readonly program: Program;
  readonly ranges: Ranges;
  readonly moments: SecondMoments;
  readonly samples: number;
  /** sha256 of what the model was shown. */
  readonly shown: string;
}

/**
 * Shows samples to a family's f32 program, one row at a time and so without padding: image, prompt, a few greedy
 * tokens. Head and embedding see the text and the new tokens, all others also the image's. @throws what `signal` says,
 * BadInputError for a picture, VerifyError for a prompt that is too long
 */
export async function calibrate(
  original: Program,
  { samples, kernels, onProgress, signal, ...momentOptions }: CalibrateOptions,
): Promise<Calibration> {
  const program = runPassesOnProgram(original, [foldConstants]);
  const { observe: observeRange, ranges } = rangeCollector();
  const moments = secondMoments(program.graphs, momentOptions);
  const total = samples.length * linearsOfSample(program);
  let done = 0;
  const observe: Observer = (observation) => {
    signal?.throwIfAborted();
    observeRange(observation);
    moments.observe(observation);
    if (observation.op === 'linear' && observation.step === undefined) onProgress?.(++done, total);
  };
  const runner = evaluatorRunner(program, 'calibration', { observe, ...(kernels && { kernels }) });
  const shown = createHash('sha256');
  for (const sample of samples) {
    signal?.throwIfAborted();
    const prompt = await sample.load();
    for (const { data } of [prompt.pixelValues, prompt.inputIds]) shown.update(data);
    await show(program, runner, prompt);
  }
  return { program, ranges, moments, samples: samples.length, shown: shown.digest('hex') };
}

async function show(
  { metadata }: Program,
  runner: ReturnType<typeof evaluatorRunner>,
  prompt: Awaited<ReturnType<CalibrationSample['load']>>,
): Promise<void> {
  const model = { runner, metadata };
  const { features } = await encodeImages(model, prompt.pixelValues);
  const textTokens = prompt.inputIds.data.filter((id) => id !== prompt.imageTokenId).length;
  let step = await prefill(model, prompt, features, { logitsToKeep: textTokens });
  for (let i = 0; i < NEW_TOKENS; i++) {
    const { token } = choose(rowsOf(lastPositions(step.logits, 1), { columns: metadata.vocabSize }), 0);
    step = await extend(model, step.state, tensorOf('i64', [1, 1], [token]), { logitsToKeep: 1 });
  }
}

function linearsOfSample({ graphs }: Program): number {
  const runs: Readonly<Record<string, number>> = { decoder: 1 + NEW_TOKENS, embed_tokens: 1 + NEW_TOKENS };
  return graphs.reduce(
    (total, { name, nodes }) => total + (runs[name] ?? 1) * nodes.filter(({ op }) => op === 'linear').length,
    0,
  );
}
