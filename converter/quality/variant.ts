import type { Precision } from '../../verify/tolerances.ts';
import { UsageError } from '../errors.ts';
import { asksData, namesFolder } from '../precision/chosen_by_data.ts';
import { BALANCES, type Balance } from '../precision/balance.ts';
import { isQuantized, PRECISIONS, QUANTIZED } from '../precision/precision.ts';
import { parseBytes } from '../terminal/memory.ts';

/** How codes are chosen, in the words of `pgconv convert`. */
export const ALGORITHMS = ['rtn', 'search', 'hqq', 'gptq'] as const;

/** What `pgconv convert` is told beside the dtype; what is left out is its default. */
export interface VariantSettings {
  readonly algorithm?: (typeof ALGORITHMS)[number];
  readonly balance?: Balance;
  /** `none`, `auto` or a file. */
  readonly mixed?: string;
  /** `none`, `default` or a folder. */
  readonly calibrate?: string;
  /** Bytes of graphs and weights. */
  readonly budget?: number;
  /** Nats a token. */
  readonly targetKld?: number;
}

/** One bundle to measure. */
export interface Variant {
  /** For people: `int4`, `int4+rtn`, or `onnx int4` where there are several backends. */
  readonly label: string;
  /** By name. */
  readonly backend: string;
  readonly precision: Precision;
  readonly settings: VariantSettings;
}

/** A dtype with settings of its own, as `--dtypes` says it: `int4+rtn+mixed=none`. */
export interface DtypeSpec {
  readonly text: string;
  readonly precision: Precision;
  readonly settings: VariantSettings;
}

/**
 * Reads `int4`, `int4+rtn`, `int4+mixed=none+calibrate=photos`, `int4+calibrate`.
 * @throws UsageError for what is none, or means nothing for the dtype
 */
export function parseDtype(text: string): DtypeSpec {
  const [name, ...parts] = text.trim().split('+');
  const precision = PRECISIONS.find((known) => known === name);
  if (!precision) throw refusal(`"${name}" is no dtype`, `choose of ${PRECISIONS.join(', ')}`);
  let settings: VariantSettings = {};
  for (const part of parts) {
    const [key, value] = splitAtFirst(part, '=');
    const algorithm = ALGORITHMS.find((known) => known === part);
    const balance = key === 'balance' ? BALANCES.find((known) => known === value) : undefined;
    if (algorithm) settings = { ...settings, algorithm };
    else if (balance) settings = { ...settings, balance };
    else if (key === 'mixed' && value) settings = { ...settings, mixed: value };
    else if (key === 'budget' && parseBytes(value ?? '')) settings = { ...settings, budget: parseBytes(value!)! };
    else if (key === 'target-kld' && Number(value) > 0) settings = { ...settings, targetKld: Number(value) };
    else if (key === 'calibrate' && value !== '') settings = { ...settings, calibrate: value ?? 'default' };
    else
      throw refusal(
        `"${part}" is no setting of a dtype`,
        `write ${ALGORITHMS.join(', ')}, mixed=none, mixed=auto, mixed=<file>, calibrate, calibrate=<folder>, budget=<size>, target-kld=<nats>, balance=none or balance=auto`,
      );
  }
  const strange = isQuantized(precision)
    ? undefined
    : (['algorithm', 'balance', 'mixed', 'budget', 'targetKld'] as const).find((key) => settings[key] !== undefined);
  if (strange)
    throw refusal(
      `${precision} quantizes nothing, and "${text}" says how`,
      `leave the setting out, or choose ${QUANTIZED.join(', ')}`,
    );
  return { text: text.trim(), precision, settings };
}

/** Every dtype in every backend. `defaults` are for dtypes that do not say otherwise, where they mean something. */
export function variantsOf(
  dtypes: readonly DtypeSpec[],
  backends: readonly string[],
  defaults: VariantSettings = {},
): readonly Variant[] {
  const once = [...new Map(dtypes.map((spec) => [spec.text, spec])).values()];
  return [...new Set(backends)].flatMap((backend, _, all) =>
    once.map(({ text, precision, settings }) => {
      const { calibrate, ...ofCodes } = defaults;
      const ofOwn = { ...(isQuantized(precision) && ofCodes), ...settings };
      // codes that are chosen without data have nothing of a folder
      const hasGoal = ofOwn.budget !== undefined || ofOwn.targetKld !== undefined;
      const isIdle = isQuantized(precision) && namesFolder(calibrate) && !hasGoal && !asksData({ ...ofOwn, calibrate });
      return {
        label: all.length > 1 ? `${backend} ${text}` : text,
        backend,
        precision,
        settings: {
          ...(calibrate !== undefined && precision !== 'fp32' && !isIdle && { calibrate }),
          ...ofOwn,
        },
      };
    }),
  );
}

function refusal(message: string, hint: string): UsageError {
  return new UsageError('bad_dtype', message, { hint });
}

function splitAtFirst(text: string, separator: string): readonly [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
