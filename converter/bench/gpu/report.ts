import { tableText } from '../../terminal/table.ts';
import { bytesText } from '../../../backends/bytes_text.ts';
import { medianOf } from '../../compile/median.ts';
import { p95Of } from './compare.ts';
import type { Measured } from './measure.ts';
import type { PlanCounters } from './plan_counters.ts';

/** Shaders of a phase that are told; the JSON has all. */
const SLOWEST = 8;

/**
 * Medians and 95th percentiles, what they are of the device's best, and the ratio to onnxruntime: above 1 pgconv is
 * faster.
 */
export function speedReport(measured: readonly Measured[], title: string): string {
  const [first] = measured as [Measured];
  const notes = new Set(
    measured.flatMap(({ does }) => Object.entries(does).map(([side, text]) => `${side.split(' ')[0]!}: ${text}`)),
  );
  return [
    `${title}\nDevice: ${first.adapter}${first.isSoftware ? ', a software GPU: these figures say nothing about a real one' : ''}`,
    tableText(
      [
        'bundle',
        'copy bandwidth',
        'FMA peak',
        'matvec kernels ÷ bandwidth',
        'decode ÷ bandwidth',
        'prefill ÷ FMA peak',
      ],
      measured.map(peaksRow),
      [1, 2, 3, 4, 5],
    ),
    tableText(['stage', 'side', 'median', 'p95', '', 'pgconv is faster by'], measured.flatMap(stageRows), [2, 3, 4, 5]),
    ...measured.map(firstToken),
    ...measured.flatMap(({ notRun }) => Object.entries(notRun).map(([side, reason]) => `${side}: not run: ${reason}`)),
    ...measured.flatMap(agreement),
    ...measured.flatMap(phaseLines),
    ...notes,
  ].join('\n');
}

function peaksRow({
  precision,
  peaks,
  matvecBandwidth,
  fewestStepBytes,
  prefillFlops,
  steps,
  times,
}: Measured): string[] {
  const own = times[0]!.milliseconds;
  const decode = (fewestStepBytes * steps) / (medianOf(own.decode) / 1000);
  const prefill = prefillFlops / (medianOf(own.prefill) / 1000);
  const fraction = (value: number, of: number) => (value / of).toFixed(3);
  return [
    precision,
    `${(peaks.copyBandwidth / 1e9).toFixed(1)} GB/s`,
    `${(peaks.fmaPeak / 1e9).toFixed(1)} GFLOP/s`,
    fraction(matvecBandwidth, peaks.copyBandwidth),
    fraction(decode, peaks.copyBandwidth),
    fraction(prefill, peaks.fmaPeak),
  ];
}

function stageRows({ times, prompt, steps }: Measured): string[][] {
  const names = {
    encode: 'encode a picture',
    prefill: `prefill ${prompt} tokens`,
    decode: `decode ${steps} steps`,
  } as const;
  const milliseconds = (value: number) => `${value.toFixed(2)} ms`;
  return (['encode', 'prefill', 'decode'] as const).flatMap((stage) => {
    const own = times[0]!.milliseconds[stage];
    return times.map(({ side, milliseconds: all }, i) => {
      const values = all[stage];
      // run by run: those of one were side by side
      const ratio = i === 0 ? '' : medianOf(values.map((value, run) => value / own[run]!)).toFixed(2);
      const rate = stage === 'decode' ? `${((1000 * steps) / medianOf(values)).toFixed(2)} tokens/s` : '';
      return [names[stage], side, milliseconds(medianOf(values)), milliseconds(p95Of(values)), rate, ratio];
    });
  });
}

/**
 * What the time to the first token of pgconv is made of. Fetching includes what makes the weights, here; shaders
 * compile meanwhile.
 */
function firstToken({ precision, loading, times }: Measured): string {
  const own = times[0]!.milliseconds;
  const parts = {
    fetch: loading.fetch,
    upload: loading.upload,
    compile: loading.compile,
    encode: medianOf(own.encode),
    'prefill and readback': medianOf(own.prefill),
  };
  return `pgconv ${precision}, first token: ${Object.entries(parts)
    .map(([name, value]) => `${name} ${value.toFixed(0)} ms`)
    .join(', ')}`;
}

/** Weights are random, so that ties are near: a difference is told, and is none of speed. */
function agreement({ times, apart }: Measured): string[] {
  const [own, ...others] = times;
  const lines = others.map(({ side, tokens }) => {
    const same = tokens.findIndex((token, i) => token !== own!.tokens[i]);
    return `${side} and ${own!.side}: ${same < 0 ? `the same ${tokens.length} tokens` : `the same tokens up to ${same} of ${tokens.length}`}`;
  });
  const logits = Object.entries(apart).map(
    ([side, { relativeL2, cosine, kld }]) =>
      `${side} and ${own!.side}, logits of the prompt's last token: relative L2 ${relativeL2.toExponential(1)}, cosine ${cosine.toFixed(7)}, KLD ${kld.toExponential(1)}`,
  );
  return [...lines, ...logits];
}

/** The slowest shaders of each phase. */
function phaseLines({ precision, phases }: Measured): string[] {
  const text = (microseconds: number) => `${(microseconds / 1000).toPrecision(3)} ms`;
  return phases.map(({ phase, microseconds, kernels }) => {
    const sum = kernels.reduce((total, kernel) => total + kernel.microseconds, 0);
    const slowest = kernels
      .slice(0, SLOWEST)
      .map(
        ({ shader, count, microseconds: took }) => `${count} × ${shader.replace(/^.*\/|\.wgsl$/g, '')} ${text(took)}`,
      );
    return `pgconv ${precision}, ${phase}: ${text(microseconds)}; its shaders, each alone, ${text(sum)}: ${slowest.join(', ')}`;
  });
}

/** Counters of plans, one row a model and precision. */
export function planReport(
  rows: readonly { readonly variant: string; readonly precision: string; readonly counters: PlanCounters }[],
): string {
  const head = [
    'model',
    'dtype',
    'kernels a token',
    'a layer',
    'bytes a token',
    '÷ least',
    'weights',
    'files',
    'largest binding',
    'shaders',
    'their bytes',
    'pipelines',
    'manifest.pgw',
    'buffers',
    'of it KV cache',
  ];
  const text = rows.map(({ variant, precision, counters: c }) => [
    variant,
    precision,
    c.kernels.length,
    (c.kernels.length / c.layers).toFixed(1),
    bytesText(c.stepWeights),
    (c.stepWeights / c.fewestStepWeights).toFixed(4),
    bytesText(c.weights),
    c.shards,
    bytesText(c.largestRange),
    c.shaders,
    bytesText(c.shaderBytes),
    c.pipelines,
    bytesText(c.manifestBytes),
    bytesText(c.buffers),
    bytesText(c.cache),
  ]);
  return tableText(head, text, head.map((_, i) => i).slice(2));
}
