import type { Backend, Narrowing } from '../../backends/backend.ts';
import {
  castFloats,
  eliminateCommonSubexpressions,
  eliminateDeadCode,
  foldConstants,
  productName,
  quantizableWeights,
  quantizeWeights,
  runPassesOnProgram,
  splitLargeWeights,
  storeWeights,
  type Keep,
  type Pass,
  type PassListener,
  type QuantizableWeight,
  type QuantizeWeightsOptions,
} from '../../ir/passes/index.ts';
import { formats, isFormatName, type FormatName, type QuantizeAlgorithm } from '../../ir/formats/index.ts';
import type { Program } from '../../ir/graph.ts';
import { quantizeMatrix } from '../../ir/quantize/quantize_matrix.ts';
import { usualScheme, type Scheme } from '../../ir/quantize/scheme.ts';
import type { Help, Precision } from '../../verify/tolerances.ts';
import { UsageError } from '../errors.ts';
import { balancePasses, usualBalance, type Balance } from './balance.ts';
import type { ChosenMatrices } from './chosen_by_data.ts';
import type { WeightStorage } from './weight_storage.ts';

/** What a precision does to the f32 program: how matrices are stored, and the dtype that activations are rounded to. */
interface Meaning {
  readonly storage?: FormatName;
  readonly activations?: 'f16' | 'bf16';
}

const MEANINGS: Readonly<Record<Precision, Meaning>> = {
  fp32: {},
  fp16: { activations: 'f16' },
  bf16: { activations: 'bf16' },
  int8: { storage: 'int8' },
  int4: { storage: 'int4' },
  nf4: { storage: 'nf4' },
  q4f16: { storage: 'int4', activations: 'f16' },
};
export const PRECISIONS = Object.keys(MEANINGS) as readonly Precision[];
/** Those that store weights as codes. */
export const QUANTIZED: readonly Precision[] = PRECISIONS.filter(isQuantized);

/** Whether weights are stored in blocks of codes, so that `--mixed`, `--algorithm` and `--quant-ops` mean something. */
export function isQuantized(precision: Precision): boolean {
  return MEANINGS[precision].storage !== undefined;
}

/** Whether activations are rounded to f16, which overflows at 65504. */
export function roundsToF16(precision: Precision): boolean {
  return MEANINGS[precision].activations === 'f16';
}

/** The 16-bit float in which a precision has weights that are no codes; undefined where they stay f32. */
export function narrowFloat(precision: Precision): 'f16' | 'bf16' | undefined {
  return MEANINGS[precision].activations;
}

/** Which weights get more bits where nobody says. */
export function usualMixed(backend: Pick<Backend, 'codes'>, target?: string): 'auto' | 'none' {
  return backend.codes?.(target).mixed ?? 'auto';
}

/** What the codes of a bundle were chosen by: it decides which targets of quality they have. */
export function helpOf(mixed: string, chosen: ChosenMatrices): Help {
  return mixed !== 'none' || chosen === 'unknown' || chosen.size > 0 ? 'mixed or calibrated' : 'none';
}

/** The format of weights that no rule of `--mixed` names; undefined where weights are floats. */
export function formatFor(precision: Precision): FormatName | undefined {
  return MEANINGS[precision].storage;
}

/**
 * The f32 program that codes are made of: its channels balanced, where weights become codes. It computes the same, and
 * names the same matrices.
 */
export function balancedProgram(
  program: Program,
  precision: Precision,
  balance: Balance,
  onPass?: PassListener,
): Program {
  return isQuantized(precision) ? runPassesOnProgram(program, balancePasses(balance), onPass) : program;
}

/**
 * How a target has the floats of a precision; undefined for one that needs none but f32.
 * @throws UsageError with the reason when backend or target do not have the precision
 */
export function narrowingFor(
  precision: Precision,
  backend: Pick<Backend, 'name' | 'refusal' | 'narrowing'>,
  target?: string,
): Narrowing | undefined {
  const { activations: dtype } = MEANINGS[precision];
  const narrowing = backend.refusal(precision, target) ?? (dtype && backend.narrowing(dtype, target));
  if (narrowing === undefined || typeof narrowing === 'string') return narrowing;
  throw new UsageError(
    'unsupported_precision',
    `${backend.name} has no ${precision}${target === undefined ? '' : ` for ${target}`}: ${narrowing.reason}`,
    { hint: `choose ${narrowing.instead}` },
  );
}

export interface PrecisionOptions {
  /** How each matrix is stored (`chooseStorage`); default the precision's own way for all. */
  readonly storageOf?: (weight: QuantizableWeight) => WeightStorage;
  /** How scales and zero points are chosen, in formats that have it; default each format's usual way. */
  readonly algorithm?: QuantizeAlgorithm;
  /** One scale for each row of an int8 matrix instead of one for each 32 columns: for runtimes that have no blocks. */
  readonly perChannel?: boolean;
  /**
   * Codes of a matrix, for what needs more than the matrix: importance, GPTQ, threads. Default `quantizeMatrix` in this
   * thread.
   */
  readonly quantize?: QuantizeWeightsOptions['quantize'];
  /** How the target has 16-bit floats (`narrowingFor`); default it computes in them. */
  readonly narrowing?: Narrowing;
  /** What calibration found too large for f16, by graph. */
  readonly keep?: ReadonlyMap<string, Keep>;
  /** Where the bundle goes: default a place without limits, for which zero points are codes. */
  readonly backend?: Pick<Backend, 'floatZeros' | 'maxWeightBytes' | 'codes'>;
  /** One of its targets; default the first. */
  readonly target?: string | undefined;
  /** Hears of every pass. */
  readonly onPass?: PassListener | undefined;
}

/** The passes between a family's f32 program and a backend, in order. */
export function passesFor(precision: Precision, options: PrecisionOptions = {}): readonly Pass[] {
  return [
    ...(isQuantized(precision) ? balancePasses(usualBalance(options.algorithm, formatFor(precision))) : []),
    ...quantizePasses(precision, options),
    ...narrowPasses(precision, options),
  ];
}

export interface PrecisionPrograms {
  /** What a backend gets. */
  readonly bundle: Program;
  /**
   * What the bundle must equal but for rounding: the same codes in f32 arithmetic. How far those codes are from the
   * original's weights is another question, with other bounds (`quality` in verify/tolerances.ts).
   */
  readonly reference: Program;
}

/**
 * A family's f32 program, balanced or not, in a precision, and what it is held against. Both share their codes: they
 * are made once.
 */
export function programsFor(program: Program, precision: Precision, options: PrecisionOptions = {}): PrecisionPrograms {
  const { onPass } = options;
  const quantized = runPassesOnProgram(program, quantizePasses(precision, options), onPass);
  return {
    bundle: runPassesOnProgram(quantized, narrowPasses(precision, options), onPass),
    reference: isQuantized(precision) ? quantized : program,
  };
}

function quantizePasses(
  precision: Precision,
  {
    storageOf,
    algorithm,
    perChannel = false,
    backend,
    target,
    quantize = (data, scheme) => quantizeMatrix(data, scheme),
  }: PrecisionOptions,
): readonly Pass[] {
  const { storage } = MEANINGS[precision];
  if (!storage) return [foldConstants];
  const blocks = { ...backend?.codes?.(target).blocks, ...(perChannel && { int8: 0 }) };
  const schemeOf = (stored: WeightStorage): Scheme | 'f16' | undefined => {
    if (!isFormatName(stored)) return stored === 'fp16' ? 'f16' : undefined;
    const { algorithms, floatZeros } = formats[stored];
    const usual = usualScheme(stored);
    return {
      ...usual,
      block: blocks[stored] ?? usual.block,
      ...(algorithm && algorithms.includes(algorithm) && { algorithm }),
      ...(backend?.floatZeros && floatZeros && { floatZero: true }),
    };
  };
  return [foldConstants, quantizeWeights({ schemeOf: (weight) => schemeOf(storageOf?.(weight) ?? storage), quantize })];
}

function narrowPasses(precision: Precision, options: PrecisionOptions): readonly Pass[] {
  const { backend: { maxWeightBytes } = {} } = options;
  return [
    ...castPasses(precision, options),
    ...(maxWeightBytes === undefined ? [] : [splitLargeWeights(maxWeightBytes)]),
    eliminateCommonSubexpressions,
    eliminateDeadCode,
  ];
}

/** Where narrow floats are only stored, codes have done what there is to do: q4f16 is int4 there. */
function castPasses(
  precision: Precision,
  { keep = new Map(), narrowing = 'compute' }: PrecisionOptions,
): readonly Pass[] {
  const { activations: to, storage } = MEANINGS[precision];
  if (!to) return [];
  if (narrowing === 'store') return storage ? [] : [storeWeights(to)];
  return [storage ? castAround(to, keep) : castFloats({ to, keep })];
}

/**
 * Matrices that quantization left in f32 were asked to stay so: what reads them computes in f32. A result's product
 * without its bias is as large as it.
 */
function castAround(to: 'f16' | 'bf16', keep: ReadonlyMap<string, Keep>): Pass {
  return {
    ...castFloats({ to }),
    run(graph) {
      const { values, ops } = keep.get(graph.name) ?? { values: new Set<string>(), ops: new Set<string>() };
      const left = quantizableWeights(graph).map((weight) => weight.name);
      const all = new Set([...values, ...[...values].map(productName), ...left]);
      return castFloats({ to, keep: new Map([...keep, [graph.name, { values: all, ops }]]) }).run(graph);
    },
  };
}
