import type { Backend } from '../../backends/backend.ts';
import { formats, type FormatName } from '../../ir/formats/index.ts';
import type { Program } from '../../ir/graph.ts';
import { quantizableWeights, type QuantizableWeight } from '../../ir/passes/index.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { UsageError } from '../errors.ts';
import type { Inputs } from '../inputs/inputs.ts';
import type { Model } from '../models/family.ts';
import { chooseStorage, type Mixed } from '../precision/bit_allocation/index.ts';
import { measuredStorage } from '../precision/bit_allocation/measured.ts';
import { BUILT_IN, isSmall, NO_CALIBRATION } from '../precision/calibration/index.ts';
import { fastKernels } from '../precision/fast_kernels.ts';
import { formatFor, programsFor, type PrecisionOptions } from '../precision/precision.ts';
import type { RoleOf, WeightStorage } from '../precision/weight_storage.ts';
import type { CalibrationSample } from '../samples/calibration_sample.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { withSteps } from '../terminal/steps.ts';

/** What a user may decide about the bits of matrices. */
export interface BitChoices {
  /** Which weights get more bits; default `auto`. */
  readonly mixed?: Mixed;
  /** Bytes of graphs and weights: bits go where they were measured to help most. */
  readonly budget?: number;
  /** Divergence of answers that may be left, in nats a token: the fewest bytes that were measured to do. */
  readonly targetKld?: number;
}

/** Matrices that are not stored in the precision's own codes, and how they are. */
export type RecordedStorage = Readonly<Record<string, WeightStorage>>;

export interface BitsRequest extends BitChoices {
  readonly model: Model;
  readonly precision: Precision;
  readonly backend: Backend;
  readonly target?: string | undefined;
  readonly inputs: Inputs;
  /** How a bundle that is made again has its matrices. */
  readonly storage?: RecordedStorage | undefined;
  /** How programs are made, but for the storage of their matrices. */
  readonly passes: PrecisionOptions;
  /** Pictures that may choose bits, where there are some. */
  readonly samples?: readonly CalibrationSample[];
  /** Bytes of the graphs and weights that the bundle of a program has. */
  readonly bundleBytes?: (program: Program) => number;
  readonly signal?: AbortSignal;
}

export interface ChosenBits {
  readonly storageOf: (weight: QuantizableWeight) => WeightStorage;
  /** Undefined where weights are floats. */
  readonly recorded: RecordedStorage | undefined;
  /** How they were chosen, where they were measured. */
  readonly notes: readonly string[];
}

/**
 * How each matrix is stored: as a bundle has it that is made again; by what each matrix was measured to cost, where a
 * goal was given, or where there are samples and the model is small; else by the rules or the file of `--mixed`.
 * @throws UsageError as `chooseStorage` and `measuredStorage`
 */
export async function bitsOf(request: BitsRequest, reporter: Reporter): Promise<ChosenBits> {
  const { model, precision, mixed, backend, target, inputs, storage } = request;
  const { program, roleOf } = model;
  const base = formatFor(precision);
  const remade = base && storage && (({ name }: QuantizableWeight) => storage[name] ?? base);
  const ruled =
    remade ??
    (await chooseStorage({
      precision,
      ...(mixed !== undefined && { mixed }),
      program,
      roleOf,
      backend,
      target,
      inputs,
    }));
  if (!base) return { storageOf: ruled, recorded: undefined, notes: [] };
  const measured = remade ? undefined : await measuredBits(request, { base, ruled }, reporter);
  const storageOf = measured?.storageOf ?? ruled;
  const others = program.graphs
    .flatMap(quantizableWeights)
    .flatMap((weight) => (storageOf(weight) === base ? [] : [[weight.name, storageOf(weight)] as const]));
  return { storageOf, recorded: Object.fromEntries(others), notes: measured?.notes ?? [] };
}

/** Undefined where nobody asked for it and it is not quick. */
async function measuredBits(
  request: BitsRequest,
  { base, ruled }: { readonly base: FormatName; readonly ruled: ChosenBits['storageOf'] },
  reporter: Reporter,
): Promise<Pick<ChosenBits, 'storageOf' | 'notes'> | undefined> {
  const { model, precision, mixed, budget, targetKld, passes, samples, bundleBytes, signal } = request;
  const { program, roleOf } = model;
  const each = isSmall(program);
  const isAsked = goalNames(request).length > 0;
  const isQuick = each && mixed === 'auto' && formats[base].bits === 4 && program.metadata.retrievalWidth === undefined;
  if (!samples || !bundleBytes || !(isAsked || isQuick)) return undefined;
  const within = unlessCodebook(roleOf);
  const programs = (storageOf: ChosenBits['storageOf']) => programsFor(program, precision, { ...passes, storageOf });
  const bytesOf = (storageOf: ChosenBits['storageOf']) => bundleBytes(programs(storageOf).bundle);
  const kernels = each ? undefined : await fastKernels();
  const found = await withSteps(reporter, 'measure what each matrix costs', (onProgress) =>
    measuredStorage({
      program,
      roleOf,
      base,
      goal: targetKld === undefined ? { bytes: budget ?? bytesOf(ruled) } : { kld: targetKld },
      stored: (storageOf) => programs(within(storageOf)).reference,
      weightBytes: (storage) => storedBytes(programs(within(() => storage)).bundle),
      bytesOf: (storageOf) => bytesOf(within(storageOf)),
      samples,
      each,
      kernels,
      signal,
      onProgress,
    }),
  );
  const { bits } = formats[base];
  const left = found.kld.toExponential(1);
  return {
    storageOf: within((name) => found.storageOf.get(name) ?? base),
    notes: [
      `bits by what each matrix was measured to cost: ${found.storageOf.size} of ${found.matrices} matrices have more than ${bits}, and the divergence on ${found.pictures} calibration pictures is ${left} nats a token.`,
      ...(targetKld !== undefined && found.kld > targetKld
        ? [`--target-kld ${targetKld} is not reached: ${left} is what more bits gave.`]
        : []),
    ],
  };
}

/** Each of a codebook's rows is read where a code names it: it stays in floats. */
function unlessCodebook(roleOf: RoleOf) {
  return (stored: (name: string) => WeightStorage) =>
    ({ name }: QuantizableWeight): WeightStorage =>
      roleOf(name)?.part === 'codebook' ? 'fp32' : stored(name);
}

/**
 * Before anything is looked at, which takes minutes.
 * @throws UsageError `budget_too_small` naming what the fewest bits take
 */
export function requireBudget({ model, precision, budget, passes, bundleBytes }: Omit<BitsRequest, 'samples'>): void {
  const base = formatFor(precision);
  if (budget === undefined || !base || !bundleBytes) return;
  const storageOf = unlessCodebook(model.roleOf)(() => base);
  const least = bundleBytes(programsFor(model.program, precision, { ...passes, storageOf }).bundle);
  if (budget >= least) return;
  throw new UsageError(
    'budget_too_small',
    `--budget is ${budget} bytes, and graphs and weights in ${precision} alone have ${least}`,
    { hint: `give ${least} bytes or more` },
  );
}

/** Bytes of codes, scales and zero points, or of floats, by the name of the matrix that they are made of. */
function storedBytes({ graphs }: Program): ReadonlyMap<string, number> {
  const bytes = new Map<string, number>();
  const parts = new Map(
    graphs.flatMap(({ constants }) =>
      constants.flatMap((c) => (c.kind === 'weight' ? [[c.value.name, c.data.byteLength] as const] : [])),
    ),
  );
  for (const [part, byteLength] of parts) {
    const name = part.replace(/\.(?:codes|scales|zeros|f16)(?:\..*)?$/, '');
    bytes.set(name, (bytes.get(name) ?? 0) + byteLength);
  }
  return bytes;
}

/** Options that say how far to go. */
export function goalNames({ budget, targetKld }: BitChoices): readonly string[] {
  return [...(budget === undefined ? [] : ['--budget']), ...(targetKld === undefined ? [] : ['--target-kld'])];
}

/** @throws UsageError for goals that cannot be pursued: two at once, or without samples to measure on */
export function refuseGoals({
  model,
  calibrate,
  ...choices
}: BitChoices & { readonly model: Model; readonly calibrate?: string }): void {
  const goals = goalNames(choices);
  const [goal] = goals;
  if (goal === undefined) return;
  const { mixed = 'auto' } = choices;
  const other = goals[1] ?? (mixed === 'auto' ? undefined : `--mixed ${mixed}`);
  if (other !== undefined)
    throw new UsageError('two_goals', `${goal} and ${other} each decide the bits of weights`, {
      hint: 'give one of them',
    });
  if (model.program.metadata.retrievalWidth !== undefined)
    throw new UsageError('goal_without_answers', `${goal} measures answers, and this model gives vectors`, {
      hint: 'leave it out, or write a file for --mixed',
    });
  if (calibrate === undefined || calibrate === NO_CALIBRATION || calibrate === BUILT_IN)
    throw new UsageError('goal_without_samples', `${goal} has nothing to measure what each matrix costs on`, {
      hint: 'give --calibrate a folder of at least two pictures with prompts',
    });
}
