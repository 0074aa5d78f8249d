import type { Runner } from '../backends/backend.ts';
import type { ProgramMetadata } from '../ir/graph.ts';
import type { VerifyCase } from './cases.ts';
import { checkLogits, checkValues, type Check } from './check.ts';
import type { Model } from './decode.ts';
import { compareStages, type Phase, type StageDifference, type StageNames } from './divergence.ts';
import { VerifyError } from './error.ts';
import { withoutImage } from './image_column.ts';
import { checkGreedy, type GreedyDifference } from './greedy.ts';
import { checkInvariants, checkRowsAlone } from './invariants.ts';
import { AgreementTally } from './agreement_tally.ts';
import type { Recorded } from './recording.ts';
import { checkLengths, checkScores, type ComparedVectors } from './retrieval.ts';
import type { RowSelection } from './rows.ts';
import { runCase, type Outcome } from './run_case.ts';
import { keptTokens } from './tokens.ts';
import { tolerancesOf, type Help, type Precision, type Tolerances } from './tolerances.ts';

export interface VerifyOptions {
  readonly candidate: Runner;
  /**
   * What it must equal but for rounding: another runner, or what another implementation was seen to say. Without, only
   * `original` counts.
   */
  readonly reference?: Runner | Recorded;
  /** For quantized bundles, whose reference is the quantized program: the model as it was. */
  readonly original?: Original;
  readonly metadata: ProgramMetadata;
  readonly cases: readonly VerifyCase[];
  readonly precision: Precision;
  /** Whether the candidate's kernels may round activations to 8 bits before products by codes; default no. */
  readonly roundedActivations?: boolean;
  /** Where to look when outputs differ (`stageNames` of the program); without, a failure is not located. */
  readonly stages?: StageNames;
  /** Whether the candidate must also agree with itself (`checkInvariants`, `checkRowsAlone`); default true. */
  readonly invariants?: boolean;
  /** Hears of finished and all steps (they take different time) and of what is being computed. */
  readonly onProgress?: (done: number, total: number, label: string) => void;
  readonly signal?: AbortSignal;
}

/** What a quantized bundle may differ from by no more than its codes cost. */
export interface Original {
  readonly model: Runner | Recorded;
  /** What the codes were chosen by. */
  readonly help: Help;
  /**
   * Pictures and prompts such as people have; default those of the comparison, whose random tokens ask more of codes.
   */
  readonly cases?: readonly VerifyCase[];
}

/** The first place where the candidate leaves the reference. */
export interface Divergence {
  readonly case: string;
  readonly phase: Phase | 'greedy';
  /** `vit.1`, `image_features`, `lm.0`, ...; `logits` or `embeddings` when every stage before them agrees. */
  readonly stage: string;
  readonly metric: 'relativeL2';
  readonly value: number;
  readonly limit: number;
  /** Every compared stage, in order: how the error grows. */
  readonly stages: readonly StageDifference[];
}

export interface VerifyReport {
  readonly passed: boolean;
  readonly candidate: string;
  readonly reference?: string;
  /** Where quality was checked: what against. */
  readonly original?: string;
  readonly precision: Precision;
  readonly checks: readonly Check[];
  /** Steps at which greedy decoding would part, ties included. */
  readonly greedyDifferences: readonly GreedyDifference[];
  readonly firstDivergingStage?: Divergence;
  readonly seconds: number;
}

/**
 * Compares what a bundle computes with what its reference computes, on every case: image features, logits of the
 * prompt, of a teacher-forced suffix and of greedy steps, greedy tokens; ColPali's vectors and what they score; then
 * the candidate with itself, and, where its reference is the quantized program, with the original. Padding counts
 * nowhere, but that its vectors must be 0; logits are compared on metadata.vocabSize columns. @throws VerifyError when
 * a case or a recording does not fit.
 */
export async function verifyProgram(options: VerifyOptions): Promise<VerifyReport> {
  const {
    candidate,
    reference,
    metadata,
    cases,
    precision,
    roundedActivations = false,
    invariants = true,
    signal,
  } = options;
  const { original: before } = options;
  if (!reference && !before)
    throw new VerifyError(
      'bad_case',
      'neither a reference nor an original: nothing would be verified',
      'pass one of them',
    );
  if (cases.length === 0)
    throw new VerifyError('bad_case', 'no cases: nothing would be verified', 'pass at least one case');
  const started = performance.now();
  const tolerances = tolerancesOf(precision, metadata, { roundedActivations });
  const model: Model = { runner: candidate, metadata };
  const quality = before && tolerances.quality?.(before.help);
  if (!reference && !quality)
    throw new VerifyError(
      'bad_case',
      `${precision} has no bounds on quality: it must equal a reference`,
      'pass the original as the reference',
    );
  const qualityCases = quality ? (before.cases ?? cases) : [];
  const againstItself = (each: VerifyCase) => invariants && !each.comparedOnly;
  const total = cases.length * (reference ? 2 : 1) + cases.filter(againstItself).length + 2 * qualityCases.length;
  let done = 0;
  const part = async <T>(label: string, work: () => Promise<T>): Promise<T> => {
    signal?.throwIfAborted();
    options.onProgress?.(done, total, label);
    const result = await work();
    options.onProgress?.(++done, total, label);
    return result;
  };
  const outcomeOf = async (side: Runner | Recorded, verifyCase: VerifyCase, follow?: Outcome): Promise<Outcome> =>
    'outcomes' in side
      ? recordedOutcome(side, verifyCase.name, metadata)
      : runCase({ runner: side, metadata }, verifyCase, follow?.greedy ? { follow: follow.greedy.tokens } : {});
  const checks: Check[] = [];
  const greedyDifferences: GreedyDifference[] = [];
  const vectors: ComparedVectors[] = [];
  let divergence: Divergence | undefined;
  for (const verifyCase of cases) {
    const { name } = verifyCase;
    const expected = reference && (await part(`${name}: reference`, () => outcomeOf(reference, verifyCase)));
    const outcome = await part(`${name}: candidate`, () => outcomeOf(candidate, verifyCase, expected));
    if (expected) {
      const compared = compareOutcomes(verifyCase, outcome, expected, metadata, tolerances);
      checks.push(...compared.checks);
      greedyDifferences.push(...compared.differences);
      vectors.push({ verifyCase, candidate: outcome.prefillEmbeddings, reference: expected.prefillEmbeddings });
      const failed = compared.checks.find(({ passed }) => !passed);
      if (failed && !divergence) divergence = await locate(options, verifyCase, expected, tolerances, failed);
    }
    if (againstItself(verifyCase))
      checks.push(
        ...(await part(`${name}: candidate against itself`, async () => [
          ...checkLengths(verifyCase, outcome),
          ...(await checkRowsAlone(model, verifyCase, outcome, tolerances)),
          ...(await checkInvariants(model, verifyCase, tolerances)),
        ])),
      );
  }
  if (reference)
    checks.push(...checkScores(vectors, 'outcomes' in reference ? (reference.scores ?? []) : [], tolerances));
  if (quality) {
    const tally = new AgreementTally(metadata, quality.tieMargin);
    for (const verifyCase of qualityCases) {
      const original = await part(`${verifyCase.name}: original`, () => outcomeOf(before.model, verifyCase));
      tally.add(
        verifyCase,
        await part(`${verifyCase.name}: candidate`, () => outcomeOf(candidate, verifyCase, original)),
        original,
      );
    }
    checks.push(tally.check(quality.bounds));
  }
  const passed = checks.every((check) => check.passed);
  const descriptions = {
    candidate: candidate.description,
    ...(reference && { reference: reference.description }),
    ...(quality && { original: before.model.description }),
  };
  return {
    passed,
    ...descriptions,
    precision,
    checks,
    greedyDifferences,
    ...(divergence && { firstDivergingStage: divergence }),
    seconds: (performance.now() - started) / 1000,
  };
}

function recordedOutcome({ outcomes, description }: Recorded, name: string, metadata: ProgramMetadata): Outcome {
  const outcome = outcomes.get(name);
  if (!outcome)
    throw new VerifyError(
      'bad_recording',
      `${description} has no case "${name}"`,
      `take one of ${[...outcomes.keys()].join(', ')}`,
    );
  const { prefillLogits, suffixLogits, greedy, ...rest } = outcome;
  return {
    ...rest,
    ...(prefillLogits && { prefillLogits: withoutImage(prefillLogits, metadata) }),
    ...(suffixLogits && { suffixLogits: withoutImage(suffixLogits, metadata) }),
    ...(greedy && { greedy: { ...greedy, logits: withoutImage(greedy.logits, metadata) } }),
  };
}

type ValuesPart = 'imageFeatures' | 'prefillEmbeddings' | 'suffixEmbeddings';
type LogitsPart = 'prefillLogits' | 'suffixLogits';

/** What the reference lacks is not compared; what the candidate lacks fails. */
function compareOutcomes(
  verifyCase: VerifyCase,
  candidate: Outcome,
  reference: Outcome,
  { vocabSize: columns }: ProgramMetadata,
  tolerances: Tolerances,
): { checks: Check[]; differences: GreedyDifference[] } {
  const { name } = verifyCase;
  const values = (output: string, part: ValuesPart, bounds: Tolerances['embeddings']): Check[] => {
    const expected = reference[part];
    return expected ? [checkValues({ case: name, output }, candidate[part], expected, bounds)] : [];
  };
  const logitsOf = (output: string, part: LogitsPart, selection: Pick<RowSelection, 'valid'> = {}): Check[] => {
    const expected = reference[part];
    if (!expected) return [];
    return [checkLogits({ case: name, output }, candidate[part], expected, tolerances, { columns, ...selection })];
  };
  const kept = reference.prefillLogits && { valid: keptTokens(verifyCase, reference.prefillLogits.shape[1]!) };
  const checks = [
    ...values('image_features', 'imageFeatures', tolerances.imageFeatures),
    ...logitsOf('prefill logits', 'prefillLogits', kept),
    ...logitsOf('suffix logits', 'suffixLogits'),
    ...values('prefill embeddings', 'prefillEmbeddings', tolerances.embeddings),
    ...values('suffix embeddings', 'suffixEmbeddings', tolerances.embeddings),
  ];
  if (!reference.greedy) return { checks, differences: [] };
  const logits = checkLogits(
    { case: name, output: 'greedy logits' },
    candidate.greedy?.logits,
    reference.greedy.logits,
    tolerances,
    { columns },
  );
  checks.push(logits);
  if (!candidate.greedy || logits.bounds.length === 0) return { checks, differences: [] };
  const { check, differences } = checkGreedy(name, candidate.greedy, reference.greedy, columns, tolerances.tieMargin);
  return { checks: [...checks, check], differences };
}

/** Runs both sides again with stages and finds the first that is off. */
async function locate(
  { candidate, reference, metadata, stages }: VerifyOptions,
  verifyCase: VerifyCase,
  expected: Outcome,
  tolerances: Tolerances,
  failed: Check,
): Promise<Divergence | undefined> {
  if (!stages) return undefined;
  const staged = { ...verifyCase, maxNewTokens: 0 };
  const ours = await runCase({ runner: candidate, metadata }, staged, { stages });
  const theirs =
    !reference || 'outcomes' in reference
      ? expected
      : await runCase({ runner: reference, metadata }, staged, { stages });
  if (!ours.stages || !theirs.stages) return undefined;
  const compared = compareStages(verifyCase, ours.stages, theirs.stages, stages, tolerances);
  if (compared.length === 0) return undefined;
  const first = compared.find(({ passed }) => !passed);
  const limit = tolerances.stage.atMost ?? Infinity;
  if (first)
    return {
      case: verifyCase.name,
      phase: first.phase,
      stage: first.stage,
      metric: 'relativeL2',
      value: first.relativeL2,
      limit,
      stages: compared,
    };
  return {
    case: verifyCase.name,
    ...placeOfOutput(failed.output),
    metric: 'relativeL2',
    value: failed.metrics.relativeL2 ?? Number.NaN,
    limit,
    stages: compared,
  };
}

function placeOfOutput(output: string): { phase: Divergence['phase']; stage: string } {
  if (output === 'image_features') return { phase: 'vision', stage: output };
  const stage = output.endsWith('embeddings') ? 'embeddings' : 'logits';
  return { phase: output.startsWith('prefill') ? 'prefill' : output.startsWith('suffix') ? 'suffix' : 'greedy', stage };
}
