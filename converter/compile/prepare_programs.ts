import { usualTarget } from '../../backends/usual_target.ts';
import type { Backend } from '../../backends/backend.ts';
import { planF16, type RangeFinding } from '../../ir/observe/f16_range.ts';
import type { Program } from '../../ir/graph.ts';
import type { PassListener, QuantizeWeightsOptions } from '../../ir/passes/index.ts';
import { gptqMatrix } from '../../ir/quantize/gptq.ts';
import { factorHessian, MAX_GPTQ_COLUMNS, type HessianFactor } from '../../ir/quantize/hessian.ts';
import { leastOutputError } from '../../ir/quantize/least_output_error.ts';
import { quantizeMatrix } from '../../ir/quantize/quantize_matrix.ts';
import { formats, type QuantizeAlgorithm } from '../../ir/formats/index.ts';
import type { Help, Precision } from '../../verify/tolerances.ts';
import {
  BUILT_IN,
  chosenSet,
  describeFinding,
  enforceFindings,
  NO_CALIBRATION,
  runCalibration,
  UNCALIBRATED,
  type Calibration,
} from '../precision/calibration/index.ts';
import { UsageError } from '../errors.ts';
import type { Inputs } from '../inputs/inputs.ts';
import type { Model } from '../models/family.ts';
import type { Processor } from '../../backends/client/images/processor.ts';
import {
  formatFor,
  helpOf,
  isGuided,
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
import { useKernels } from '../threads/kernels_module.ts';
import { QuantizePool } from '../threads/quantize_pool.ts';
import { threadCount } from '../threads/thread_count.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import { bitsOf, goalNames, refuseGoals, type BitChoices, type RecordedStorage } from './weight_bits.ts';

/** How scales and zero points are chosen; `gptq` (arXiv:2210.17323) from calibration, for 4-bit codes. */
export const ALGORITHMS = ['rtn', 'search', 'hqq', 'gptq'] as const satisfies readonly (QuantizeAlgorithm | 'gptq')[];
export type Algorithm = (typeof ALGORITHMS)[number];

/** What a user may decide about a precision. */
export interface PrecisionChoices extends BitChoices {
  /** Default `search`. */
  readonly algorithm?: Algorithm;
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
export async function preparePrograms(options: PrepareOptions, reporter: Reporter): Promise<PreparedPrograms> {
  const {
    model,
    precision,
    backend,
    algorithm = 'search',
    perChannel = false,
    target = usualTarget(options.backend, options.precision),
    allowOverflow,
    inputs,
  } = options;
  const mixed = options.mixed ?? usualMixed(backend, target);
  const { program } = model;
  refuseIdle(options);
  const narrowing = narrowingFor(precision, backend, target);
  const narrows = roundsToF16(precision) && narrowing === 'compute';
  const kernels = await useKernels();
  const calibration = await calibrated(options, narrows, reporter);
  const plan = narrows && calibration ? planF16(calibration.program.graphs, calibration.ranges) : undefined;
  // What is not finite in f32 already is said last: a weight that is so has its own error, and names the place.
  enforceFindings(plan?.findings ?? [], { allowOverflow, strict: false });
  const pool = isQuantized(precision) ? new QuantizePool(threadCount(), kernels) : undefined;
  const guided =
    isQuantized(precision) && isGuided({ algorithm, calibrate: options.calibrate ?? '' }) ? calibration : undefined;
  const compensates = options.algorithm === undefined || options.algorithm === 'gptq';
  const quantize = quantizer(compensates, guided, allowOverflow, pool);
  const passes: PrecisionOptions = {
    algorithm: algorithm === 'gptq' ? 'search' : algorithm,
    perChannel,
    quantize,
    backend,
    target,
    ...(narrowing && { narrowing }),
    ...(plan && { keep: plan.keep }),
  };
  const bits = await bitsOf(
    {
      ...options,
      mixed,
      target,
      passes,
      plainCodes: plainCodes(allowOverflow, pool),
      ...(guided && guided.samples > 1 && { samples: guided.choosing }),
    },
    reporter,
  );
  return {
    ...programsFor(program, precision, { ...passes, storageOf: bits.storageOf, onPass: options.onPass }),
    storage: bits.recorded,
    help: helpOf({ mixed, algorithm, calibrate: options.calibrate ?? '' }),
    notes: [
      ...(plan?.findings ?? []).map(describeFinding),
      ...withoutRoom(guided),
      ...bits.notes,
      ...(guided && guided.samples < 2
        ? ['calibration: one picture chose no codes, since none was left to judge them.']
        : []),
      ...(narrows && !calibration ? [`fp16: ${UNCALIBRATED}`] : []),
    ],
    findings: plan?.findings ?? [],
    shown: calibration?.shown,
    dispose: async () => pool?.dispose(),
  };
}

/** Choices that only codes have mean nothing for floats: silence would let a user believe in them. */
function refuseIdle(options: PrepareOptions): void {
  const { precision, algorithm, perChannel, calibrate } = options;
  const idle = isQuantized(precision)
    ? []
    : [
        ...(algorithm === undefined ? [] : ['--algorithm']),
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
  if (algorithm === 'gptq' && (calibrate === undefined || calibrate === NO_CALIBRATION || calibrate === BUILT_IN))
    throw new UsageError('gptq_without_calibration', '--algorithm gptq needs what goes into each layer', {
      hint: 'give --calibrate a folder of pictures and prompts: the built-in ones make codes worse',
    });
}

async function calibrated(
  options: PrepareOptions,
  narrows: boolean,
  reporter: Reporter,
): Promise<Calibration | undefined> {
  const { model, precision, algorithm, calibrate, tokenizer, processor, inputs, verify, signal } = options;
  if (chosenSet(model.program, { calibrate, narrows, verify }) === undefined) return undefined;
  const moments = algorithm === undefined ? {} : { moments: { wantsProducts: () => algorithm === 'gptq' } };
  return runCalibration(
    model.program,
    {
      calibrate,
      narrows,
      verify,
      tokenizer: await tokenizer(),
      processor: await processor(),
      inputs,
      guides: isQuantized(precision) && isGuided({ algorithm: algorithm ?? 'search', calibrate: calibrate ?? '' }),
      ...moments,
      ...(signal && { signal }),
    },
    reporter,
  );
}

/** Codes that no data chooses. */
function plainCodes(
  allowOverflow: boolean,
  executor: QuantizePool | undefined,
): NonNullable<QuantizeWeightsOptions['quantize']> {
  return (data, scheme) => quantizeMatrix(data, scheme, { allowOverflow, ...(executor && { executor }) });
}

/**
 * @param compensates whether GPTQ is among the ways, where a matrix's products were looked at: all of a small model
 * when nobody named an algorithm
 */
function quantizer(
  compensates: boolean,
  guided: Calibration | undefined,
  allowOverflow: boolean,
  executor: QuantizePool | undefined,
): QuantizeWeightsOptions['quantize'] {
  const factors = new WeakMap<Float64Array, HessianFactor>();
  const factorOf = (products: Float64Array, columns: number) => {
    const factor = factors.get(products) ?? factorHessian(products, columns);
    factors.set(products, factor);
    return factor;
  };
  const common = { allowOverflow, ...(executor && { executor }) };
  return (data, scheme, name) => {
    const columns = data.shape[1]!;
    const products =
      compensates && formats[scheme.format].gptq && columns <= MAX_GPTQ_COLUMNS
        ? guided?.moments.productsOf(name)
        : undefined;
    const plain = quantizeMatrix(data, scheme, common);
    const importance = guided?.moments.importanceOf(name);
    const judges = (guided?.heldOut ?? []).flatMap((pool) => pool.rowsOf(name) ?? []);
    if (judges.length === 0) return plain;
    const ways = [
      ...(importance ? [quantizeMatrix(data, scheme, { ...common, importance })] : []),
      ...(products ? [gptqMatrix(data, scheme, factorOf(products, columns), common)] : []),
    ];
    return leastOutputError(data, scheme.format, [plain, ...ways], judges);
  };
}

function withoutRoom(guided: Calibration | undefined): string[] {
  const names = guided?.moments.withoutRoom ?? [];
  return names.length === 0
    ? []
    : [
        `${names.length} matrices are too wide for GPTQ in the memory that it may have, and are quantized by the weighted search: ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}.`,
      ];
}
