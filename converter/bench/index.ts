import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { mkdir } from 'node:fs/promises';
import { Command, Option } from 'commander';
import { tableText } from '../terminal/table.ts';
import { wholeNumber } from '../cli/options.ts';
import { VARIANTS } from '../models/paligemma/config.ts';
import { bytesText } from '../../backends/bytes_text.ts';
import { attentionReport, measureAttention } from './attention_forms.ts';
import { measureConversion, type Measurement } from './convert_full_size.ts';
import type { BenchWeights } from './decoder_program.ts';
import { measureDecoding } from './decode_speed.ts';
import { eightBitsReport, measureEightBits } from './eight_bits.ts';
import { decodingReport } from './decode_report.ts';
import { faultsReport, measureFaults } from './faults/measure.ts';
import { alarmsReport, measureAlarms } from './alarms.ts';
import { MODELS, modelsNamed, type FurtherModel } from './calibration/further_models.ts';
import { kindsNamed, measureCalibration } from './calibration/measure.ts';
import { calibrationReport } from './calibration/report.ts';
import { masksReport, measureMasks } from './masks.ts';
import { measureMethods } from './methods/measure.ts';
import { methodsReport } from './methods/report.ts';
import { medianOf } from '../compile/median.ts';
import { measureVerification, verificationReport } from './verify_full_size.ts';
import { measureQuantization, withData, WITHOUT_DATA, type QuantizationMeasurement } from './quantize_full_size.ts';

const PARTS = [
  'conversion',
  'quantization',
  'quantization-with-data',
  'verification',
  'decoding',
  'attention',
  'products',
  'faults',
  'masks',
  'alarms',
  'calibration',
  'methods',
] as const;
/** What is not measured but when it is asked for. */
const ASKED: readonly string[] = ['quantization-with-data', 'faults', 'masks', 'alarms', 'calibration', 'methods'];
type Part = (typeof PARTS)[number];

interface Flags {
  readonly dir: string;
  readonly variant: string;
  readonly runs: number;
  readonly layers?: number;
  readonly only?: Part;
  readonly weights: BenchWeights;
  readonly contexts: readonly number[];
  readonly steps: number;
  readonly threads: number;
  readonly bundles: readonly string[];
  readonly models?: readonly FurtherModel[];
  readonly memory: string;
  readonly json?: boolean;
}

/** What full-size conversion may cost (README): copies of input and output, and memory. */
const MAX_RATIO = 1.5;
const MAX_PEAK_BYTES = 2 ** 30;

const program = new Command('npm run bench --')
  .description(
    'Time and memory of a full-size bf16 → fp16 conversion, beside copies of its input and output on the same disk (about 20 GB of it). Of int4 and int8 beside fp16. Of conversions with their verification. ' +
      'Then tokens a second of the decoder on the CPU: fused attention, the portable graph, and what an exporter without fusions emits. And attention and a product with 8-bit codes in each form. Nothing else should run meanwhile. ' +
      '`--only faults` measures nothing: it plants faults in bundles of full widths (two layers unless --layers says otherwise), and fails unless each is found and named. ' +
      '`--only quantization-with-data` converts to int4 by 16 prompts, beside fp16. `--only masks` measures how well masks fit that a trained model segments, in every backend and precision (an hour on a software GPU). `--only alarms` converts and verifies small models, and fails when a sound bundle is refused. ' +
      '`--only calibration` makes five models beside two fixtures and measures what their codes lose without and with pictures that choose them, on others, and fails when those are worse (half an hour). ' +
      '`--only methods` measures on such models what AWQ, k_quant, NeUQI and AutoRound would add (an hour; 10 minutes a model).',
  )
  .option('--dir <dir>', 'folder for the checkpoints and bundles; on the disk to be measured', 'tmp/bench')
  .addOption(new Option('--variant <name>', 'shapes').choices(Object.keys(VARIANTS)).default('paligemma-3b-224'))
  .option('--runs <n>', 'conversions of each format', wholeNumber(1), 3)
  .option('--layers <n>', 'decoder layers (default: all)', wholeNumber(1))
  .addOption(new Option('--only <part>', 'measure this alone').choices([...PARTS]))
  .addOption(
    new Option('--weights <kind>', 'weights of the decoder whose speed is measured')
      .choices(['int4', 'fp32'])
      .default('int4'),
  )
  .option(
    '--contexts <n,...>',
    'tokens in the cache (default: those of a picture of 224, 448 and 896 pixels with a prompt)',
    (text) => text.split(',').map(wholeNumber(1)),
    [272, 1040, 4112],
  )
  .option('--steps <n>', 'timed steps of each flavour at each context', wholeNumber(1), 15)
  .option('--threads <n>', 'threads of onnxruntime', wholeNumber(1), cpus().length)
  .option(
    '--bundles <backend:dtype,...>',
    'what is converted with its verification, or measured by `--only masks` or `calibration`',
    (text) => text.split(','),
    ['onnx:fp16', 'onnx:int8', 'onnx:int4'],
  )
  .option(
    '--models <name,...>',
    `models of \`--only calibration\` or \`methods\`: ${MODELS.map(({ name }) => name).join(', ')} (default: all)`,
    modelsNamed,
  )
  .option('--memory <size>', 'what that verification may take', '4GiB')
  .option('--json', 'print JSON')
  .parse();
const {
  dir,
  variant,
  runs,
  layers,
  only,
  weights,
  contexts,
  steps,
  threads,
  bundles,
  models = MODELS,
  memory,
  json,
} = program.opts<Flags>();
const folder = resolve(dir);
await mkdir(folder, { recursive: true });
const log = (line: string) => void process.stderr.write(`${line}\n`);
const wanted = (part: Part) => (only === undefined ? !ASKED.includes(part) : only === part);
const conversion = !wanted('conversion')
  ? []
  : [
      ...(await measureConversion(folder, 'hf', variant, runs, layers, log)),
      ...(await measureConversion(folder, 'npz', variant, runs, layers, log)),
    ];
const decoder = VARIANTS[variant]!;
const config = {
  ...decoder,
  text: {
    ...decoder.text,
    layers: layers ?? decoder.text.layers,
    slidingLayers: decoder.text.slidingLayers.filter((layer) => layer < (layers ?? Infinity)),
  },
};
const ways = [
  ...(wanted('quantization') ? [WITHOUT_DATA] : []),
  ...(wanted('quantization-with-data') ? [await withData(folder)] : []),
];
const quantization: QuantizationMeasurement[] = [];
for (const own of ways) quantization.push(...(await measureQuantization(folder, variant, runs, layers, own, log)));
const verification = wanted('verification')
  ? await measureVerification(folder, { variant, layers, bundles, memory, log })
  : [];
const decoding = !wanted('decoding')
  ? []
  : await measureDecoding({ dir: join(folder, 'decoders'), config, weights, contexts, steps, threads, log });
const attention = wanted('attention') ? await measureAttention(join(folder, 'attention'), steps, threads) : [];
const products = wanted('products') ? await measureEightBits(join(folder, 'products'), steps, threads) : [];
const faults = wanted('faults') ? await measureFaults(folder, { layers: layers ?? 2, memory, log }) : [];
const named = program.getOptionValueSource('bundles') === 'cli' ? bundles : undefined;
const masks = wanted('masks') ? await measureMasks(folder, named, log) : [];
const alarms = wanted('alarms') ? await measureAlarms(folder, log) : [];
const calibration = wanted('calibration') ? await measureCalibration(models, kindsNamed(named), log) : [];
const methods = wanted('methods') ? await measureMethods(models, log) : [];
const machine = `${cpus().length} × ${cpus()[0]?.model.trim()}`;
if (json)
  console.log(
    JSON.stringify(
      {
        conversion,
        quantization,
        verification,
        decoding,
        attention,
        products,
        faults,
        masks,
        alarms,
        calibration,
        methods,
      },
      null,
      2,
    ),
  );
else {
  if (conversion.length > 0) console.log(report(conversion));
  if (quantization.length > 0) console.log(quantizationReport(quantization));
  if (verification.length > 0) console.log(verificationReport(verification, `${variant}, bf16; ${machine}`));
  if (decoding.length > 0)
    console.log(
      decodingReport(
        decoding,
        `${variant}, ${config.text.layers} layers, ${weights} weights, ${threads} threads; ${machine}`,
      ),
    );
  if (attention.length > 0) console.log(attentionReport(attention, `${threads} threads; ${machine}`));
  if (faults.length > 0) console.log(faultsReport(faults, `${layers ?? 2} + ${layers ?? 2} layers, bf16; ${machine}`));
  if (alarms.length > 0) console.log(alarmsReport(alarms));
  if (calibration.length > 0) console.log(calibrationReport(calibration));
  if (methods.length > 0) console.log(methodsReport(methods));
  if (masks.length > 0) console.log(masksReport(masks));
  if (products.length > 0) console.log(eightBitsReport(products, `${threads} threads; ${machine}`));
}
if (
  faults.some(({ isRight }) => !isRight) ||
  alarms.some(({ refused }) => refused !== undefined) ||
  calibration.some(({ isWorse }) => isWorse)
)
  process.exitCode = 1;

function report(measured: readonly Measurement[]): string {
  const rows = (['hf', 'npz'] as const).map((format) => {
    const own = measured.filter((m) => m.format === format);
    const median = (of: keyof Omit<Measurement, 'format'>) => medianOf(own.map((m) => m[of]));
    const seconds = (of: 'convertSeconds' | 'copyInputSeconds' | 'copyOutputSeconds') => `${median(of).toFixed(1)} s`;
    const ratios = own.map((m) => m.ratio);
    const range = `${median('ratio').toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`;
    const peak = Math.max(...own.map((m) => m.peakBytes));
    return [
      format,
      bytesText(median('inputBytes')),
      bytesText(median('outputBytes')),
      seconds('convertSeconds'),
      seconds('copyInputSeconds'),
      seconds('copyOutputSeconds'),
      range,
      `${(peak / 2 ** 20).toFixed(0)} MiB`,
      median('ratio') <= MAX_RATIO && peak <= MAX_PEAK_BYTES ? 'ok' : 'ABOVE the goal',
    ];
  });
  const head = ['from', 'input', 'output', 'convert', 'cp input', 'cp output', 'convert ÷ copies', 'peak memory', ''];
  return `${variant}, bf16 → fp16 ONNX, median of ${runs}; ${machine}; goals: ratio ≤ ${MAX_RATIO}, memory ≤ 1 GiB\n${tableText(head, rows, [1, 2, 3, 4, 5, 6, 7])}`;
}

function quantizationReport(measured: readonly QuantizationMeasurement[]): string {
  const rows = [...new Set(measured.map(({ way }) => way))].map((way) => {
    const own = measured.filter((m) => m.way === way);
    const ratios = own.map(({ ratio }) => ratio);
    const peak = Math.max(...own.map(({ peakBytes }) => peakBytes));
    const { maxRatio, outputBytes } = own[0]!;
    const met = medianOf(ratios) <= maxRatio && peak <= MAX_PEAK_BYTES;
    return [
      way,
      bytesText(outputBytes),
      `${medianOf(own.map(({ seconds }) => seconds)).toFixed(1)} s`,
      `${medianOf(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)})`,
      maxRatio,
      `${(peak / 2 ** 20).toFixed(0)} MiB`,
      met ? 'met' : 'MISSED',
    ];
  });
  return `${variant}, bf16 → quantized ONNX, median of ${runs}; ${machine}\n${tableText(['precision', 'output', 'convert', '÷ fp16', 'goal', 'peak memory', ''], rows, [1, 2, 3, 4, 5])}`;
}
