import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { pgconv, sizeOf } from './child.ts';

/** What quantizing may cost beside a plain conversion (docs/precision-targets.md): the ratio of wall times. */
const WAYS = {
  fp16: { args: ['--dtype', 'fp16'], maxRatio: 1 },
  'int4 rtn': { args: ['--dtype', 'int4', '--algorithm', 'rtn'], maxRatio: 1.3 },
  'int4 search': { args: ['--dtype', 'int4'], maxRatio: 3 },
  int8: { args: ['--dtype', 'int8'], maxRatio: 3 },
} as const satisfies Readonly<Record<string, { readonly args: readonly string[]; readonly maxRatio: number }>>;
type Way = keyof typeof WAYS;

export interface QuantizationMeasurement {
  readonly way: Way;
  readonly seconds: number;
  /** Wall time ÷ that of the fp16 conversion of the same round. */
  readonly ratio: number;
  readonly maxRatio: number;
  readonly outputBytes: number;
  readonly peakBytes: number;
}

/**
 * Converts one synthetic bf16 checkpoint in each way, by turns, `runs` times: ratios hold when the machine's speed
 * drifts.
 */
export async function measureQuantization(
  dir: string,
  variant: string,
  runs: number,
  layers: number | undefined,
  log: (line: string) => void,
): Promise<QuantizationMeasurement[]> {
  const [input, output] = [join(dir, 'quantize-checkpoint'), join(dir, 'quantize-bundle')];
  await rm(input, { recursive: true, force: true });
  await pgconv([
    'synth',
    '--variant',
    variant,
    '--format',
    'hf',
    '--dtype',
    'bf16',
    '--out',
    input,
    ...(layers === undefined ? [] : ['--layers', String(layers)]),
  ]);
  const measured: QuantizationMeasurement[] = [];
  try {
    for (let run = 0; run < runs; run++) {
      let plain = Number.NaN;
      for (const [way, { args, maxRatio }] of Object.entries(WAYS) as readonly (readonly [Way, (typeof WAYS)[Way]])[]) {
        await rm(output, { recursive: true, force: true });
        const { seconds, peakBytes } = await pgconv([
          'convert',
          input,
          '--to',
          'onnx',
          ...args,
          '--out',
          output,
          '--no-verify',
        ]);
        if (way === 'fp16') plain = seconds;
        const measurement = {
          way,
          seconds,
          ratio: seconds / plain,
          maxRatio,
          outputBytes: await sizeOf(output),
          peakBytes,
        };
        measured.push(measurement);
        log(
          `${way}, run ${run + 1} of ${runs}: ${seconds.toFixed(1)} s, ${measurement.ratio.toFixed(2)} of fp16, peak ${(peakBytes / 2 ** 20).toFixed(0)} MiB`,
        );
      }
    }
  } finally {
    for (const path of [input, output]) await rm(path, { recursive: true, force: true });
  }
  return measured;
}
