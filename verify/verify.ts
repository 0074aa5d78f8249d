import type { RoundedActivations, Runner } from '../backends/backend.ts';
import type { DeviceFacts } from '../backends/device_facts.ts';
import type { ProgramMetadata } from '../ir/graph.ts';
import { randomSource } from '../ir/random_source.ts';
import type { BaselineVerdict } from './baseline.ts';
import type { Bisection } from './bisect/bisect.ts';
import { boundsOfCase } from './angles.ts';
import { callsOf } from './calls.ts';
import { isBatch, isRowCostly, randomToken, type VerifyCase } from './cases.ts';
import { checkLogits, checkValues, type Check } from './check.ts';
import type { Model } from './decode.ts';
import type { StageNames } from './divergence.ts';
import { VerifyError } from './error.ts';
import { AGAINST_ITSELF, Forecast, type Phase as WorkPhase, type Progress, type Side } from './forecast.ts';
import { withoutImage } from './image_column.ts';
import { checkGreedy, type GreedyDifference } from './greedy.ts';
import { checkMasks, MASK_GRAPH } from './masks.ts';
import { checkInvariants, checkRowsAlone } from './invariants.ts';
import { AgreementTally } from './agreement_tally.ts';
import type { Recorded, RecordedOf } from './recording.ts';
import { checkLengths, checkScores, type ComparedVectors } from './retrieval.ts';
import type { RowSelection } from './rows.ts';
import { partBound, PartsTally, partsUncompared } from './parts.ts';
import { locate, stageErrors, type Divergence, type StageErrors } from './locate.ts';
import { runCase, type Outcome, type RunCaseOptions } from './run_case.ts';
import type { Links } from './links.ts';
import type { WeightsReport } from './weights/verify_weights.ts';
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
  /** Whose tolerances hold. */
  readonly precision: Precision;
  /** How the candidate's kernels may round activations to 8 bits before products by codes; default not at all. */
  readonly roundedActivations?: RoundedActivations | undefined;
  /** Where to look when outputs differ (`stageNames` of the program); without, a failure is not located. */
  readonly stages?: StageNames;
  /**
   * Whether every stage of the first case is compared also where all outputs agree, which takes another run of it;
   * default no.
   */
  readonly everyStage?: boolean;
  /** Whether the candidate must also agree with itself (`checkInvariants`, `checkRowsAlone`); default true. */
  readonly invariants?: boolean;
  /** Hears of what is done, in multiplications, what is being computed, and how long all that is left will take. */
  readonly onProgress?: (progress: Progress) => void;
  /** Knows what cases cost; default every token the same. */
  readonly forecast?: Forecast;
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

export interface VerifyReport {
  /** Whether every check held. */
  readonly passed: boolean;
  /** What was run, as people call it. */
  readonly candidate: string;
  /** Where it ran. */
  readonly device?: DeviceFacts;
  /** Whether its graphs ran part by part: none was run as a whole. */
  readonly inParts?: true;
  /** Where it ran so: of which cases no part was compared on what the reference gave, and why; absent: of none. */
  readonly partsUncompared?: string;
  /** What it was compared with; absent where only a recording or the original was. */
  readonly reference?: string;
  /** Where quality was checked: what against. */
  readonly original?: string;
  /** Whose implementation was run, where a recording of it was compared with. */
  readonly recorded?: RecordedOf;
  /** Whose tolerances hold. */
  readonly precision: Precision;
  /** Every comparison: its error, its limit and whether it held. */
  readonly checks: readonly Check[];
  /** Which links were tried and held; who knows more than the checks adds them. */
  readonly links?: Links;
  /** Where stored weights differ from the checkpoint's. */
  readonly weights?: WeightsReport;
  /** Steps at which greedy decoding would part, ties included. */
  readonly greedyDifferences: readonly GreedyDifference[];
  /** Where the model first differs, after a failure. */
  readonly firstDivergingStage?: Divergence;
  /** Where it was looked for: which pass changed values. */
  readonly bisection?: Bisection;
  /** Every stage of a case, where that was asked for and none had to be looked for. */
  readonly stages?: StageErrors;
  /** How its figures compare with those of another time; who has them adds it. */
  readonly baseline?: BaselineVerdict;
  /** What was not compared, and what was taken for granted: a sentence each. */
  readonly notes?: readonly string[];
  /** Wall time. */
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
  const { candidate, reference, metadata, cases, precision, roundedActivations, invariants = true, signal } = options;
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
  // what codes cost shows in any row: a batch of them would cost a large original minutes more
  const ofOneRow = isRowCostly(metadata) ? cases.filter((each) => !isBatch(each)) : [];
  const judged = ofOneRow.length > 0 ? ofOneRow : cases;
  const qualityCases = quality ? (before.cases ?? judged) : [];
  const againstItself = (each: VerifyCase) => invariants && !each.comparedOnly;
  const { forecast = new Forecast(({ inputIds }) => ({ decoder: inputIds.data.length })) } = options;
  // of the parts of a batch of rows, each row alone says as much, and costs less
  const isOnParts = (each: VerifyCase) => !isBatch(each) || cases.every(isBatch);
  const timesOf = (each: VerifyCase) =>
    1 + (againstItself(each) ? AGAINST_ITSELF : 0) + (candidate.inParts && reference && isOnParts(each) ? 1 : 0);
  // many clients and drivers compile a shader no sooner
  const first = candidate.device?.gpu && { atFirst: 'whose shaders may compile as they first run' };
  const phases: (readonly WorkPhase[])[] = [
    [
      ...(quality ? [{ side: 'original', cases: qualityCases } as const] : []),
      ...(reference ? [{ side: 'reference', cases } as const] : []),
    ],
    [{ side: 'candidate', cases, times: timesOf, ...first }],
    ...(before?.cases && quality ? [[{ side: 'candidate', cases: qualityCases } as const]] : []),
  ];
  forecast.plan(phases, options.onProgress);
  const part = async <T>(side: Side, verifyCase: VerifyCase, work: () => Promise<T>, times = 1): Promise<T> => {
    signal?.throwIfAborted();
    const result = await work();
    for (let i = 0; i < times; i++) forecast.over(side, verifyCase);
    return result;
  };
  const outcomeOf = async (
    side: Runner | Recorded,
    verifyCase: VerifyCase,
    follow?: Tokens,
    more: RunCaseOptions = {},
  ): Promise<Outcome> =>
    'outcomes' in side
      ? recordedOutcome(side, verifyCase.name, metadata)
      : runCase({ runner: side, metadata }, verifyCase, { ...(follow && { follow }), ...more });
  const sides = { candidate, reference, original: before?.model };
  for (const [side, runner] of Object.entries(sides) as [Side, Runner | Recorded | undefined][])
    if (runner && !('outcomes' in runner))
      callsOf(runner).listen({
        onProgress: (graph, done, total) => forecast.share(side, graph, done / total),
        ...(signal && { signal }),
      });
  const checks: Check[] = [];
  const greedyDifferences: GreedyDifference[] = [];
  const vectors: ComparedVectors[] = [];
  let divergence: Divergence | undefined;

  // what runs in parts is not run again to find where it parts from the reference
  const staged: RunCaseOptions = candidate.inParts && options.stages ? { stages: options.stages } : {};
  forecast.begin();
  // where a prompt of people leads is the original's to say
  const original = (verifyCase: VerifyCase) =>
    part('original', verifyCase, () =>
      outcomeOf(before!.model, verifyCase, before!.cases ? undefined : forcedTokens(verifyCase, metadata)),
    );
  const originalOutcomes = (quality ? qualityCases : []).map(original);
  /** What a recording was read on with, else tokens that are known before. */
  const tokensOf = async (verifyCase: VerifyCase): Promise<Tokens> =>
    (before && !before.cases && 'outcomes' in before.model
      ? (await originalOutcomes[qualityCases.indexOf(verifyCase)])?.greedy?.tokens
      : undefined) ?? forcedTokens(verifyCase, metadata);
  // Of all cases at once, so that a weight that must be read again for each run is read once; reference and original
  // side by side: while the products of one are computed, the other does what is no product.
  const expecting = cases.map(async (verifyCase) => {
    const tokens = await tokensOf(verifyCase);
    const outcome =
      reference && (await part('reference', verifyCase, () => outcomeOf(reference, verifyCase, tokens, staged)));
    return { outcome, tokens: outcome?.greedy?.tokens ?? tokens };
  });
  const [originals, expected] = await Promise.all([Promise.all(originalOutcomes), Promise.all(expecting)]);
  forecast.begin();
  const computed = await Promise.all(
    cases.map(async (verifyCase, i) => {
      const { tokens, outcome: wanted } = expected[i]!;
      const parts =
        candidate.inParts && wanted && isOnParts(verifyCase)
          ? new PartsTally(verifyCase, wanted, partBound(tolerances.stage, metadata))
          : undefined;
      const outcome = part('candidate', verifyCase, () =>
        outcomeOf(candidate, verifyCase, tokens, {
          ...staged,
          ...(wanted?.stages && (parts || candidate.seeksStages) && { given: wanted.stages }),
          ...(parts && { onGiven: parts.add }),
        }),
      );
      const itself = againstItself(verifyCase)
        ? part(
            'candidate',
            verifyCase,
            async () => {
              const [rowsAlone, others] = await Promise.all([
                checkRowsAlone(model, verifyCase, outcome, tolerances, tokens),
                checkInvariants(model, verifyCase, tolerances),
              ]);
              return [...checkLengths(verifyCase, await outcome), ...rowsAlone, ...others];
            },
            AGAINST_ITSELF,
          )
        : Promise.resolve([]);
      const [own, checked] = await Promise.all([outcome, itself]);
      return { outcome: own, itself: checked, isOnParts: parts !== undefined, parts: parts?.check() };
    }),
  );
  for (const [i, verifyCase] of cases.entries()) {
    const { outcome, itself, parts } = computed[i]!;
    const wanted = expected[i]!.outcome;
    if (wanted) {
      const bounds = boundsOfCase(verifyCase, tolerances);
      const compared = compareOutcomes(verifyCase, outcome, wanted, metadata, bounds);
      checks.push(...compared.checks);
      greedyDifferences.push(...compared.differences);
      vectors.push({ verifyCase, candidate: outcome.prefillEmbeddings, reference: wanted.prefillEmbeddings });
      const failed = compared.checks.find(({ passed }) => !passed);
      if (failed && !divergence) divergence = await locate(options, verifyCase, { outcome, wanted }, bounds, failed);
    }
    if (parts) checks.push(parts);
    checks.push(...itself);
  }
  const compared = reference ?? before!.model;
  if (metadata.maskSize !== undefined && !('outcomes' in compared)) {
    signal?.throwIfAborted();
    const masks = await checkMasks(candidate, compared, tolerances, options.stages?.[MASK_GRAPH]);
    checks.push(...masks.checks);
    divergence ??= masks.divergence;
  }
  const notes =
    metadata.maskSize !== undefined && 'outcomes' in compared ? ['masks were not compared: a recording has none'] : [];
  const [{ outcome }, { outcome: wanted }] = [computed[0]!, expected[0]!];
  const grown =
    options.everyStage && !divergence && wanted
      ? await stageErrors(options, cases[0]!, { outcome, wanted }, tolerances)
      : undefined;
  if (reference)
    checks.push(...checkScores(vectors, 'outcomes' in reference ? (reference.scores ?? []) : [], tolerances));
  if (quality) {
    const tally = new AgreementTally(metadata, quality.tieMargin);
    if (before.cases) forecast.begin();
    const own = await Promise.all(
      qualityCases.map(async (verifyCase, i) =>
        before.cases
          ? part('candidate', verifyCase, () => outcomeOf(candidate, verifyCase, originals[i]!.greedy?.tokens))
          : computed[cases.indexOf(verifyCase)]!.outcome,
      ),
    );
    qualityCases.forEach((verifyCase, i) => tally.add(verifyCase, own[i]!, originals[i]!));
    checks.push(tally.check(judged === ofOneRow && !before.cases ? 'cases of one row' : 'all cases', quality.bounds));
  }
  forecast.end();
  const uncompared = partsUncompared(
    computed.filter(({ isOnParts: tried }) => tried).map(({ parts }) => parts !== undefined),
    expected.some(({ outcome: given }) => given?.stages && Object.values(given.stages).some(hasFields)),
    reference !== undefined,
  );
  const passed = checks.every((check) => check.passed);
  const descriptions = {
    candidate: candidate.description,
    ...(candidate.device && { device: candidate.device }),
    ...(candidate.inParts && { inParts: true as const }),
    ...(candidate.inParts && uncompared),
    ...(reference && { reference: reference.description }),
    ...(quality && { original: before.model.description }),
    ...recordedOf(reference ?? before!.model),
  };
  return {
    passed,
    ...descriptions,
    precision,
    checks,
    greedyDifferences,
    ...(divergence && { firstDivergingStage: divergence }),
    ...(grown && { stages: grown }),
    ...(notes.length > 0 && { notes }),
    seconds: (performance.now() - started) / 1000,
  };
}

function hasFields(value: object): boolean {
  return Object.keys(value).length > 0;
}

function recordedOf(side: Runner | Recorded): Pick<VerifyReport, 'recorded'> {
  return 'outcomes' in side && side.of ? { recorded: side.of } : {};
}

/** By row and step. */
type Tokens = readonly (readonly number[])[];

/**
 * Tokens to read on behind a prompt in place of a model's own choices: what is known before is read in one go, and
 * what a model says of any token shows as much as of its own.
 */
function forcedTokens({ inputIds, maxNewTokens }: VerifyCase, metadata: ProgramMetadata): Tokens {
  const random = randomSource(FORCED_SEED);
  return Array.from({ length: inputIds.shape[0]! }, () =>
    Array.from({ length: maxNewTokens }, () => randomToken(metadata, random)),
  );
}

/** Other tokens than those of cases, whose seed is 1. */
const FORCED_SEED = 2;

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
  const { check, differences } = checkGreedy(name, candidate.greedy, reference.greedy, columns, tolerances);
  return { checks: [...checks, check], differences };
}
