import type { Kernels } from '../../ir/evaluate.ts';
import type { Program } from '../../ir/graph.ts';
import type { Model } from '../../verify/decode.ts';
import type { rangeCollector } from '../../ir/observe/ranges.ts';
import type { StageNames } from '../../verify/divergence.ts';
import type { Precision } from '../../verify/tolerances.ts';
import type { ChosenDevice, DeviceChoice } from '../bundle/choose_device.ts';
import type { ModelSource } from '../models/open_model.ts';
import type { Reporter } from '../terminal/reporter.ts';
import type { ReferenceKind } from './choose_reference.ts';
import type { ConversionSource } from './make_bundle.ts';
import type { QualityCase } from './quality_cases.ts';
import type { TensorStore } from './tensor_store.ts';
import type { Variant } from './variant.ts';

export interface GivenBundle {
  readonly dir: string;
  /** Whose targets it has; default the precision that its manifest says. */
  readonly precision?: Precision;
}

/** One of them, as it is measured. */
export interface MadeElsewhere {
  readonly dir: string;
  readonly variant: Variant;
}

export interface QualityOptions extends ModelSource, DeviceChoice {
  readonly variants: readonly Variant[];
  /** Bundles made before, or elsewhere, to measure beside them. */
  readonly bundles?: readonly GivenBundle[];
  /** Whether every byte of those is held to their manifests before they are measured; default true. */
  readonly check?: boolean;
  /** Default: the eval.json beside the last adapter, else the checkpoint; else the built-in pictures. */
  readonly samples?: string;
  readonly limit?: number;
  readonly tokenizer?: string;
  /** Default `auto`. */
  readonly baseline?: ReferenceKind;
  /**
   * For a bundle as the reference: cases on which it is compared with the evaluator; default as many as are affordable.
   */
  readonly checkedCases?: number;
  /** Where bundles stay, in folders named by their variant; without, they are removed. */
  readonly keepIn?: string;
  readonly signal?: AbortSignal;
}

/** Cases that are compared stage by stage: a stage is many values, and what it loses hardly depends on the picture. */
export const STAGED_CASES = 4;

/** What every part of a run needs. */
export interface QualityRun {
  readonly options: QualityOptions;
  /** Bundles that were made elsewhere. */
  readonly given: readonly MadeElsewhere[];
  /** Where bundles run, by backend. */
  readonly devices: ReadonlyMap<string, ChosenDevice>;
  /** In f32, as the family builds it. */
  readonly program: Program;
  readonly cases: readonly QualityCase[];
  readonly decode: (tokens: readonly number[]) => string;
  /** What the reference computed. */
  readonly store: TensorStore;
  readonly stages: StageNames;
  readonly reporter: Reporter;
  /** A folder of this run: removed at its end. */
  readonly temp: string;
  readonly collector: ReturnType<typeof rangeCollector>;
  /** For the evaluator; undefined computes by its own loops. */
  readonly kernels: Kernels | undefined;
  /** What makes masks of the original's answers, and of those of bundles that cannot; undefined without a decoder. */
  readonly maskDecoder: Model | undefined;
}

/** The parts of the options that conversions take. */
export function conversionSource({
  checkpoint,
  adapters,
  reference,
  finalSoftcap,
  slidingWindow,
  leaveOut,
  maskDecoder,
  tokenizer,
  signal,
}: QualityOptions): ConversionSource {
  return {
    checkpoint,
    ...(adapters && { adapters }),
    ...(reference && { reference }),
    ...(finalSoftcap && { finalSoftcap }),
    ...(slidingWindow && { slidingWindow }),
    ...(leaveOut && { leaveOut }),
    ...(maskDecoder !== undefined && { maskDecoder }),
    ...(tokenizer !== undefined && { tokenizer }),
    ...(signal && { signal }),
  };
}

/** Every conversion would say the same of the checkpoint again. */
export function quiet(reporter: Reporter): Reporter {
  return { stage: (label, options) => reporter.stage(label, options), note() {}, warn() {}, close() {} };
}
