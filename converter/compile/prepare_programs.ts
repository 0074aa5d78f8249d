import { usualTarget } from '../../backends/usual_target.ts';
import type { Backend } from '../../backends/backend.ts';
import { planF16, type RangeFinding } from '../../ir/observe/f16_range.ts';
import type { Program } from '../../ir/graph.ts';
import type { PassListener, QuantizeWeightsOptions } from '../../ir/passes/index.ts';
import { gptqMatrix } from '../../ir/quantize/gptq.ts';
import { plainExecutor } from '../../ir/quantize/executor.ts';
import { quantizeMatrix } from '../../ir/quantize/quantize_matrix.ts';
import { formats, type QuantizeAlgorithm } from '../../ir/formats/index.ts';
import type { Help, Precision } from '../../verify/tolerances.ts';
import { usualBalance, type Balance } from '../precision/balance.ts';
import {
  chosenSet,
  describeFinding,
  enforceFindings,
  isSmall,
  runCalibration,
  UNCALIBRATED,
  type ShownCalibration,
} from '../precision/calibration/index.ts';
import {
  asksData,
  choiceSentence,
  leftOutSentence,
  namesFolder,
  wonByData,
  type ChosenByData,
} from '../precision/chosen_by_data.ts';
import { CodeChoices, type Candidates } from '../precision/code_choices.ts';
import { recentFactors } from '../precision/calibration/recent_factors.ts';
import { UsageError } from '../errors.ts';
import type { Inputs } from '../inputs/inputs.ts';
import type { Model } from '../models/family.ts';
import type { Processor } from '../../backends/client/images/processor.ts';
import {
  balancedProgram,
  formatFor,
  helpOf,
  isQuantized,
  narrowingFor,
  programsFor,
  QUANTIZED,
  type PrecisionOptions,
  roundsToF16,
  usualMixed,
  type PrecisionPrograms,
} from '../precision/precision.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { withSteps } from '../terminal/steps.ts';
import { useKernels } from '../threads/kernels_module.ts';
import { ScratchFile } from '../scratch_file.ts';
import { QuantizePool } from '../threads/quantize_pool.ts';
import { threadCount } from '../threads/thread_count.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { bitsOf, goalNames, refuseGoals, requireBudget, type BitChoices, type RecordedStorage } from './weight_bits.ts';

/** How scales and zero points are chosen; `gptq` (arXiv:2210.17323) from calibration. */
export const ALGORITHMS = ['rtn', 'search', 'hqq', 'gptq'] as const satisfies readonly (QuantizeAlgorithm | 'gptq')[];
export type Algorithm = (typeof ALGORITHMS)[number];

/** What a user may decide about a precision. */
export interface PrecisionChoices extends BitChoices {
  /** Default `search`; where data chooses, GPTQ as well for a small model. */
  readonly algorithm?: Algorithm;
  /** Whether columns of matrices are made of like size before they become codes; default `usualBalance`. */
  readonly balance?: Balance;
  /** One scale a row for int8; default one for each 32 columns. */
  readonly perChannel?: boolean;
  /**
   * `default` for the built-in set, `none`, or a folder; when absent, the built-in set where it is cheap and f16 may
   * overflow.
   */
  readonly calibrate?: string;
  /** Which runtime the bundle is for: one of the backend's targets, default the backend's usual one. */
  readonly target?: string;
}

export interface PrepareOptions extends PrecisionChoices {
  readonly model: Model;
  readonly precision: Precision;
  readonly backend: Backend;
  /** Made when calibration needs it: a real one takes seconds. */
  readonly tokenizer: () => Promise<Tokenizer | undefined>;
  readonly processor: () => Promise<Processor>;
  /** Which whatever is read for it is among. */
  readonly inputs: Inputs;
  readonly verify: boolean;
  readonly strict: boolean;
  readonly allowOverflow: boolean;
  /** Bytes of the graphs and weights that the bundle of a program has; absent: no bits are measured. */
  readonly bundleBytes?: (program: Program) => number;
  /** How a bundle that is made again has its matrices (`PreparedPrograms.storage`); default: it is chosen. */
  readonly storage?: RecordedStorage | undefined;
  /** Hears of every pass. */
  readonly onPass?: PassListener;
  readonly signal?: AbortSignal;
}

export interface PreparedPrograms extends PrecisionPrograms {
  /** What the codes were chosen by. */
  readonly help: Help;
  /** What data chose, where it was asked to. */
  readonly chosenByData: ChosenByData | undefined;
  /** What calibration found and what it did, one sentence each. */
  readonly notes: readonly string[];
  readonly findings: readonly RangeFinding[];
  /** Matrices that are not stored in the precision's own codes, and how they are; undefined where none has codes. */
  readonly storage: RecordedStorage | undefined;
  /** What calibration was shown, where there was one: a hash. */
  readonly shown: string | undefined;
  /** Ends the threads: when codes are no longer read. */
  dispose(): Promise<void>;
}

/**
 * A model's programs in a precision: calibrated as asked, quantized in threads while they are read.
 * @throws UsageError for choices that mean nothing here; BadInputError for activations that do not fit and cannot be
 * kept
 */
export async function preparePrograms(asked: PrepareOptions, reporter: Reporter): Promise<PreparedPrograms> {
  refuseIdle(asked);
  const { model: family, balance = usualBalance(asked.algorithm, formatFor(asked.precision)), ...others } = asked;
  const options = {
    ...others,
    model: { ...family, program: balancedProgram(family.program, others.precision, balance, others.onPass) },
  };
  const {
    model,
    precision,
    backend,
    algorithm = 'search',
    perChannel = false,
    target = usualTarget(options.backend, options.precision),
    allowOverflow,
  } = options;
  const mixed = options.mixed ?? usualMixed(backend, target);
  const { program } = model;
  const narrowing = narrowingFor(precision, backend, target);
  const narrows = roundsToF16(precision) && narrowing === 'compute';
  refuseIdleFolder(options, narrows);
  const common: PrecisionOptions = {
    algorithm: algorithm === 'gptq' ? 'search' : algorithm,
    perChannel,
    backend,
    target,
    ...(narrowing && { narrowing }),
  };
  requireBudget({ ...options, passes: common });
  const kernels = await useKernels();
  const compensates = options.algorithm === 'gptq' || (options.algorithm === undefined && isSmall(program));
  const scratch = compensates && guides(options) ? new ScratchFile() : undefined;
  const pool = isQuantized(precision) ? new QuantizePool(threadCount(), kernels) : undefined;
  const dispose = async () => {
    await pool?.dispose();
    await scratch?.close();
  };
  try {
    const calibration = await calibrated(options, narrows, scratch, reporter);
    const plan = narrows && calibration ? planF16(calibration.program.graphs, calibration.ranges) : undefined;
    // What is not finite in f32 already is said last: a weight that is so has its own error, and names the place.
    enforceFindings(plan?.findings ?? [], { allowOverflow, strict: false });
    const guided = guides(options) ? calibration : undefined;
    const choices = new CodeChoices();
    const quantizeBy = (kept: CodeChoices) => quantizer(kept, guided, allowOverflow, pool);
    const passes = { ...common, quantize: quantizeBy(choices), ...(plan && { keep: plan.keep }) };
    const bits = await bitsOf(
      {
        ...options,
        mixed,
        target,
        // what is tried is not what the bundle gets
        passes: { ...passes, quantize: quantizeBy(new CodeChoices()) },
        ...(calibration && calibration.pictures.judged > 0 && isShownFor(options) && { samples: calibration.choosing }),
      },
      reporter,
    );
    const programs = programsFor(program, precision, {
      ...passes,
      storageOf: bits.storageOf,
      onPass: options.onPass,
    });
    const chosenByData = guided && (await chosenBy(guided, choices, reporter));
    return {
      ...programs,
      storage: bits.recorded,
      help: helpOf(mixed, wonByData(chosenByData)),
      chosenByData,
      notes: [
        ...(plan?.findings ?? []).map(describeFinding),
        ...bits.notes,
        ...calibrationNotes(options, narrows, calibration, chosenByData),
        ...(narrows && !calibration ? [`fp16: ${UNCALIBRATED}`] : []),
      ],
      findings: plan?.findings ?? [],
      shown: calibration?.shown,
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/**
 * What data chose, before anything is emitted: manifest, README and a run that goes on know it alike, whatever of the
 * codes was written before. It costs nothing: whoever reads codes first would decide it.
 */
async function chosenBy(
  { shown, pictures, leftOut }: ShownCalibration,
  choices: CodeChoices,
  reporter: Reporter,
): Promise<ChosenByData> {
  const won = await withSteps(reporter, 'judge codes', (onProgress) => choices.decide(onProgress));
  return { shown, pictures: { ...pictures, leftOut }, ...won };
}

/** What was looked at, and what came of it. */
function calibrationNotes(
  options: PrepareOptions,
  narrows: boolean,
  calibration: ShownCalibration | undefined,
  chosen: ChosenByData | undefined,
): string[] {
  const { precision, algorithm, calibrate } = options;
  if (!calibration) return [];
  const idle = namesFolder(calibrate)
    ? `${algorithm} chooses codes without data: the folder is looked at for what f16 does not hold.`
    : 'the built-in pictures choose no codes, and nothing is rounded to f16 here: nothing came of them.';
  const said = [
    leftOutSentence(calibration.samples, calibration.leftOut),
    chosen && choiceSentence(chosen),
    isQuantized(precision) && !isShownFor(options) && namesFolder(calibrate) === narrows ? idle : undefined,
  ];
  return said.flatMap((sentence) => (sentence === undefined ? [] : [`calibration: ${sentence}`]));
}

/** Choices that only codes have mean nothing for floats: silence would let a user believe in them. */
function refuseIdle(options: PrepareOptions): void {
  const { precision, algorithm, balance, perChannel, calibrate } = options;
  const idle = isQuantized(precision)
    ? []
    : [
        ...(algorithm === undefined ? [] : ['--algorithm']),
        ...(balance === undefined ? [] : ['--balance']),
        ...(perChannel ? ['--per-channel'] : []),
        ...goalNames(options),
      ];
  if (idle.length > 0)
    throw new UsageError(
      'no_codes',
      `${idle.join(' and ')} choose${idle.length > 1 ? '' : 's'} how weights are quantized, and ${precision} quantizes none`,
      { hint: `choose ${QUANTIZED.join(', ')}` },
    );
  refuseGoals(options);
  const format = formatFor(precision);
  const algorithms = format && formats[format].algorithms;
  if (algorithm && algorithms && !algorithms.includes(algorithm === 'gptq' ? 'search' : algorithm))
    throw new UsageError('no_algorithm', `--algorithm ${algorithm} is none for codes of ${format}`, {
      hint: `leave it out: ${format} has ${algorithms.join(', ')}`,
    });
  if (algorithm === 'gptq' && !namesFolder(calibrate))
    throw new UsageError('gptq_without_calibration', '--algorithm gptq needs what goes into each layer', {
      hint: 'give --calibrate a folder of pictures and prompts: the built-in ones make codes worse',
    });
}

/**
 * A folder that can do nothing is a mistake: shown to the model, it would take a 3B minutes. For what is made again it
 * has done what it was given for: it is recorded.
 */
function refuseIdleFolder(options: PrepareOptions, narrows: boolean): void {
  const { precision, algorithm, calibrate, storage } = options;
  if (storage || !isQuantized(precision) || narrows || !namesFolder(calibrate) || isShownFor(options)) return;
  throw new UsageError(
    'idle_calibration',
    `--algorithm ${algorithm} chooses codes without data, and nothing in ${precision} is rounded to f16 here`,
    { file: calibrate, hint: 'leave out --calibrate, or --algorithm: search and gptq choose with data' },
  );
}

async function calibrated(
  options: PrepareOptions,
  narrows: boolean,
  scratch: ScratchFile | undefined,
  reporter: Reporter,
): Promise<ShownCalibration | undefined> {
  const { model, algorithm, calibrate, tokenizer, processor, inputs, verify, signal } = options;
  if (chosenSet(model.program, { calibrate, narrows, verify }) === undefined) return undefined;
  return runCalibration(
    model.program,
    {
      calibrate,
      narrows,
      verify,
      tokenizer: await tokenizer(),
      processor: await processor(),
      inputs,
      guides: guides(options),
      needsJudge: algorithm === 'gptq' || goalNames(options).length > 0,
      scratch,
      ...(signal && { signal }),
    },
    reporter,
  );
}

/** Whether what a model computes chooses its codes. */
function guides(options: PrepareOptions): boolean {
  return isQuantized(options.precision) && asksData(options);
}

/** Whether pictures of a folder choose codes or bits. */
function isShownFor(options: PrepareOptions): boolean {
  return asksData(options) || goalNames(options).length > 0;
}

/** GPTQ is among the ways where rows of inputs were kept. */
function quantizer(
  choices: CodeChoices,
  guided: ShownCalibration | undefined,
  allowOverflow: boolean,
  executor: QuantizePool | undefined,
): QuantizeWeightsOptions['quantize'] {
  const factorOf = recentFactors(executor ?? plainExecutor);
  const common = { allowOverflow, ...(executor && { executor }) };
  return (data, scheme, name) => {
    const plain = quantizeMatrix(data, scheme, common);
    const importance = guided?.moments.importanceOf(name);
    const rows = formats[scheme.format].gptq ? guided?.rows?.rowsOf(name) : undefined;
    const judges = (guided?.heldOut ?? []).flatMap((pool) => pool.rowsOf(name) ?? []);
    if (judges.length === 0) return plain;
    const ways: Candidates['ways'] = [
      ...(importance && scheme.algorithm === 'search'
        ? [{ way: 'weighted' as const, matrix: quantizeMatrix(data, scheme, { ...common, importance }) }]
        : []),
      ...(rows ? [{ way: 'gptq' as const, matrix: gptqMatrix(data, scheme, () => factorOf(rows), common) }] : []),
    ];
    return choices.choose(name, { data, format: scheme.format, plain, ways, judges });
  };
}
