import { createHash } from 'node:crypto';
import { evaluatorRunner, type Kernels } from '../../../ir/evaluate.ts';
import type { Program } from '../../../ir/graph.ts';
import { stopTokens } from '../../../ir/metadata.ts';
import { foldConstants, runPassesOnProgram } from '../../../ir/passes/index.ts';
import type { Observation, Observer } from '../../../ir/observe/observer.ts';
import { rangeCollector, type Ranges } from '../../../ir/observe/ranges.ts';
import { heldOutRows, type HeldOut } from '../../../ir/observe/held_out.ts';
import { keptRows, type KeptRows, type Scratch } from '../../../ir/observe/kept_rows.ts';
import { secondMoments, type SecondMoments } from '../../../ir/observe/second_moments.ts';
import { tensorOf } from '../../../ir/tensor.ts';
import { encodeImages, extend, prefill } from '../../../verify/decode.ts';
import { choose } from '../../../verify/metrics.ts';
import { lastPositions, rowsOf } from '../../../verify/rows.ts';
import type { CalibrationSample } from '../../samples/calibration_sample.ts';
import { judgesAmong, type Judges } from './judges.ts';

/**
 * Greedy tokens read after each prompt where nobody says: they pass through the branch of the decoder that has a cache.
 * Each reads every weight again.
 */
const FEW_TOKENS = 2;

export interface CalibrateOptions {
  readonly samples: readonly CalibrationSample[];
  /** Greedy tokens read after each prompt, up to one that ends the answer; default 2. */
  readonly newTokens?: number;
  /** Samples, the first, behind whose prompts those are read; default all. */
  readonly answered?: number;
  /**
   * How many samples are shown at once: each weight is read once for them, and what they compute is held at once.
   * Default 1.
   */
  readonly together?: number;
  /** Where rows of the inputs of layers are kept, which GPTQ asks for; default they are not. */
  readonly scratch?: Scratch;
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
  /** Inputs of layers, where there was room for them: those that `moments` saw, or an even choice. */
  readonly rows: KeptRows | undefined;
  /** Inputs of layers that `moments` did not see: of pictures, and of text. */
  readonly heldOut: readonly HeldOut[];
  readonly samples: number;
  /** Those of the samples that may choose codes: the others judge them. */
  readonly choosing: readonly CalibrationSample[];
  /** Pictures that chose codes, and that judged them. */
  readonly pictures: Judges['pictures'];
  /** sha256 of what the model was shown. */
  readonly shown: string;
}

/**
 * Shows samples to a family's f32 program, each in a run of its own and so without padding: image, prompt, of all or
 * some a few greedy tokens. Head and embedding see the text and the new tokens, all others also the image's.
 * @throws what `signal` says, BadInputError for a picture, VerifyError for a prompt that is too long
 */
export async function calibrate(
  original: Program,
  {
    samples,
    newTokens = FEW_TOKENS,
    answered = Infinity,
    together = 1,
    kernels,
    scratch,
    onProgress,
    signal,
  }: CalibrateOptions,
): Promise<Calibration> {
  const program = runPassesOnProgram(original, [foldConstants]);
  const { observe: observeRange, ranges } = rangeCollector();
  const moments = secondMoments(program.graphs);
  const rows = scratch && keptRows(program.graphs, scratch);
  const [ofPictures, ofText] = [heldOutRows(program.graphs), heldOutRows(program.graphs)];
  const { imageTokens } = program.metadata;
  const { judges, pictures } = judgesAmong(samples);
  let judging = false;
  const tokensOf = (sample: number) => (sample < answered ? newTokens : 0);
  const linears = samples.map((_, i) => linearsOfSample(program, tokensOf(i)));
  const total = linears.reduce((sum, count) => sum + count, 0);
  let done = 0;
  const observe: Observer = (observation) => {
    signal?.throwIfAborted();
    observeRange(observation);
    if (!judging) moments.observe(observation);
    else
      for (const [pool, part] of partsOf(observation, imageTokens))
        (pool === 'text' ? ofText : ofPictures).observe(part);
    if (observation.op === 'linear' && observation.step === undefined) onProgress?.(++done, total);
    return judging ? undefined : rows?.observe(observation);
  };
  const runner = evaluatorRunner(program, 'calibration', { observe, ...(kernels && { kernels }) });
  const shown = createHash('sha256');
  let over = 0;
  for (const group of groupsOf(judges, together)) {
    signal?.throwIfAborted();
    judging = judges[group[0]!]!;
    const prompts = await Promise.all(group.map((i) => samples[i]!.load()));
    for (const { pixelValues, inputIds } of prompts) for (const { data } of [pixelValues, inputIds]) shown.update(data);
    await Promise.all(prompts.map((prompt, at) => show(program, runner, prompt, tokensOf(group[at]!))));
    over += group.reduce((sum, i) => sum + linears[i]!, 0);
    // an answer that ended early has fewer layers than were counted, and what two compute alike is computed once
    if (done < over) onProgress?.((done = over), total);
  }
  return {
    program,
    ranges,
    moments,
    rows,
    heldOut: [ofPictures, ofText],
    samples: samples.length,
    pictures,
    choosing: samples.filter((_, i) => !judges[i]),
    shown: shown.digest('hex'),
  };
}

/** Indices of samples in their order, `size` and fewer at a time: those of a group all choose, or all judge. */
function groupsOf(judges: readonly boolean[], size: number): readonly (readonly number[])[] {
  const groups: number[][] = [];
  for (const [i, judging] of judges.entries()) {
    const open = groups.findLast(([first]) => judges[first!] === judging);
    if (open && open.length < size) open.push(i);
    else groups.push([i]);
  }
  return groups;
}

/**
 * Rows of a picture, and those of text behind them: a prompt has many of the first, and what is said hangs on the
 * others.
 */
function partsOf(
  observation: Observation,
  imageTokens: number,
): readonly (readonly ['picture' | 'text', Observation])[] {
  const { graph, tensor } = observation;
  const columns = tensor.shape.at(-1) ?? 1;
  const rows = tensor.data.length / columns;
  if (graph === 'vision_encoder') return [['picture', observation]];
  if (rows <= imageTokens) return [['text', observation]];
  const part = (from: number, to: number): Observation => ({
    ...observation,
    tensor: { ...tensor, shape: [1, to - from, columns], data: tensor.data.subarray(from * columns, to * columns) },
  });
  return [
    ['picture', part(0, imageTokens)],
    ['text', part(imageTokens, rows)],
  ];
}

async function show(
  { metadata }: Program,
  runner: ReturnType<typeof evaluatorRunner>,
  prompt: Awaited<ReturnType<CalibrationSample['load']>>,
  newTokens: number,
): Promise<void> {
  const model = { runner, metadata };
  const { features } = await encodeImages(model, prompt.pixelValues);
  const textTokens = prompt.inputIds.data.filter((id) => id !== prompt.imageTokenId).length;
  let step = await prefill(model, prompt, features, { logitsToKeep: textTokens });
  const stops = stopTokens(metadata);
  for (let i = 0; i < newTokens; i++) {
    const { token } = choose(rowsOf(lastPositions(step.logits, 1), { columns: metadata.vocabSize }), 0);
    if (i >= FEW_TOKENS && stops.includes(token)) return;
    step = await extend(model, step.state, tensorOf('i64', [1, 1], [token]), { logitsToKeep: 1 });
  }
}

function linearsOfSample({ graphs }: Program, newTokens: number): number {
  const runs: Readonly<Record<string, number>> = { decoder: 1 + newTokens, embed_tokens: 1 + newTokens };
  return graphs.reduce(
    (total, { name, nodes }) => total + (runs[name] ?? 1) * nodes.filter(({ op }) => op === 'linear').length,
    0,
  );
}
