import { join } from 'node:path';
import type { VerifyReport } from '../../verify/verify.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { convert } from '../compile/convert.ts';
import { VerificationFailed } from '../compile/verification_failed.ts';
import { PgconvError } from '../errors.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { tableText } from '../terminal/table.ts';

interface Model {
  readonly name: string;
  readonly checkpoint: string;
  readonly adapter?: string;
  /** Whether it was trained: codes of 4 bits are judged by what such a model says. */
  readonly isTrained?: true;
}

const MODELS: readonly Model[] = [
  { name: 'shapes', checkpoint: 'fixtures/shapes', isTrained: true },
  {
    name: 'shapes with an adapter',
    checkpoint: 'fixtures/shapes/hf',
    adapter: 'fixtures/shapes/lora-shapes',
    isTrained: true,
  },
  { name: 'segments', checkpoint: 'fixtures/segments/hf', isTrained: true },
  ...['pg1-tiny', 'pg2-tiny', 'pg1-wide', 'pg2-wide', 'pg2-28b-tiny', 'pg2-bf16', 'pg2-window', 'pg2-untied'].map(
    (name) => ({ name, checkpoint: `fixtures/${name}/hf` }),
  ),
];

const WAYS: readonly { readonly backend: string; readonly precisions: readonly Precision[] }[] = [
  { backend: 'onnx', precisions: ['fp32', 'fp16', 'int8'] },
  { backend: 'tfjs', precisions: ['fp32', 'fp16'] },
];
const OF_TRAINED: readonly { readonly backend: string; readonly precisions: readonly Precision[] }[] = [
  { backend: 'onnx', precisions: ['int4', 'q4f16'] },
  { backend: 'tfjs', precisions: ['int8', 'int4'] },
];

/** A sound conversion, and whether it was refused. */
export interface Alarm {
  readonly model: string;
  readonly backend: string;
  readonly precision: Precision;
  /** Absent: it was not. */
  readonly refused?: string;
  /** The largest share of a bound that a value takes, and which. */
  readonly closest: number;
  readonly bound: string;
}

/** Sound conversions of small models, each with its verification: none may be refused. */
export async function measureAlarms(folder: string, log: (line: string) => void): Promise<readonly Alarm[]> {
  const alarms: Alarm[] = [];
  for (const model of MODELS)
    for (const { backend, precisions } of [...WAYS, ...(model.isTrained ? OF_TRAINED : [])])
      for (const precision of precisions) {
        const alarm = await tried(model, backend, precision, join(folder, 'alarms'));
        alarms.push(alarm);
        log(`${model.name}, ${backend} ${precision}: ${alarm.refused ?? 'passed'} (${alarm.bound})`);
      }
  return alarms;
}

async function tried(
  { name: model, checkpoint, adapter }: Model,
  backend: string,
  precision: Precision,
  out: string,
): Promise<Alarm> {
  const common = { model, backend, precision };
  try {
    const { verification } = await convert(
      {
        checkpoint,
        backend,
        precision,
        out,
        force: true,
        ...(adapter !== undefined && { adapters: [{ dir: adapter, scale: 1 }] }),
      },
      silentReporter,
    );
    return { ...common, ...closestOf(verification!) };
  } catch (error) {
    if (!(error instanceof PgconvError)) throw error;
    const closest = error instanceof VerificationFailed ? closestOf(error.report) : { closest: NaN, bound: '' };
    return { ...common, refused: error.code, ...closest };
  }
}

function closestOf({ checks }: VerifyReport): Pick<Alarm, 'closest' | 'bound'> {
  const shares = checks.flatMap(({ case: of, output, bounds }) =>
    bounds.flatMap(({ metric, value, atMost, atLeast }) => {
      if (atMost !== undefined && atMost > 0) return [{ share: value / atMost, text: `${of}, ${output}: ${metric}` }];
      if (metric === 'cosine' || metric === 'sameTop1')
        return [{ share: (1 - value) / Math.max(1e-12, 1 - atLeast!), text: `${of}, ${output}: ${metric}` }];
      return [];
    }),
  );
  const worst = shares.reduce((a, b) => (b.share > a.share ? b : a), { share: 0, text: '' });
  return { closest: worst.share, bound: `${worst.share.toFixed(2)} of ${worst.text}` };
}

/** As a table. */
export function alarmsReport(alarms: readonly Alarm[]): string {
  const refused = alarms.filter((alarm) => alarm.refused !== undefined);
  return `${alarms.length} sound conversions, ${refused.length} refused\n${tableText(
    ['model', 'bundle', '', 'closest to its bound'],
    alarms.map(({ model, backend, precision, refused: code, bound }) => [
      model,
      `${backend} ${precision}`,
      code ?? 'passed',
      bound,
    ]),
  )}`;
}
