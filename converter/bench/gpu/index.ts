import { mkdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { wgsl } from '../../../backends/wgsl/index.ts';
import type { Program } from '../../../ir/graph.ts';
import type { Precision } from '../../../verify/tolerances.ts';
import { wholeNumber } from '../../cli/options.ts';
import { VARIANTS, type PaliGemmaConfig } from '../../models/paligemma/config.ts';
import { openModel } from '../../models/open_model.ts';
import { measure, type Measured } from './measure.ts';
import { countPlan } from './plan_counters.ts';
import { programIn, syntheticProgram } from './programs.ts';
import { randomCodes } from '../random_codes.ts';
import { planReport, speedReport } from './report.ts';

interface Flags {
  readonly checkpoint: string;
  readonly variant?: string;
  readonly layers?: number;
  readonly dtypes: readonly Precision[];
  readonly promptTokens: number;
  readonly steps: number;
  readonly warmUps: number;
  readonly runs: number;
  readonly dir: string;
  readonly plan?: boolean;
  readonly json?: string;
  readonly alone?: boolean;
  readonly checkOnCpu?: boolean;
}

const MIB = 2 ** 20;
const PRECISIONS = ['fp32', 'fp16', 'int8', 'int4'] as const satisfies readonly Precision[];
/** Beyond what a GPU's caches hold; a software GPU's are the processor's, and it is slow. */
const COPY_BYTES = { real: 512 * MIB, software: 64 * MIB };

const program = new Command('npm run bench:gpu --')
  .description(
    'Speed of bundles of shaders in pgconv/runtime beside the same precision in onnxruntime-node’s webgpu provider, by turns, on the GPU that Dawn finds; ' +
      'and what that is of the copy bandwidth and the FMA peak of the device, measured in WGSL in the same run. Nothing else should run meanwhile.',
  )
  .option('--checkpoint <path>', 'checkpoint to convert', 'fixtures/shapes/hf')
  .addOption(
    new Option('--variant <name>', 'sizes of a published model with seeded weights, in place of a checkpoint').choices(
      Object.keys(VARIANTS),
    ),
  )
  .option('--layers <n>', 'layers of decoder and tower of --variant (default: all)', wholeNumber(1))
  .option('--dtypes <name,...>', 'precisions', (text) => text.split(',').map(knownPrecision), ['fp16', 'int8', 'int4'])
  .option('--prompt-tokens <n>', 'tokens of text behind those of the picture', wholeNumber(1), 16)
  .option('--steps <n>', 'steps that a run decodes', wholeNumber(1), 32)
  .option('--warm-ups <n>', 'runs before any is timed', wholeNumber(0), 5)
  .option('--runs <n>', 'timed runs', wholeNumber(1), 20)
  .option('--dir <dir>', 'folder for the ONNX files, which go in the end', 'tmp/bench-gpu')
  .option('--plan', 'run nothing: print the counters of the plans of --variant, or of all models of 224 pixels')
  .option('--json <file>', 'write all times as JSON as well, anew for each precision')
  .option('--alone', 'pgconv only, without onnxruntime')
  .option('--check-on-cpu', 'compare logits with those of onnxruntime on the CPU as well')
  .parse();
const flags = program.opts<Flags>();

if (flags.plan) console.log(planReport(await plans(flags)));
else await run(flags);
// threads of Dawn and of onnxruntime may still be at work on nothing
process.exit(0);

async function run({
  checkpoint,
  variant,
  layers,
  dtypes,
  promptTokens,
  steps,
  warmUps,
  runs,
  dir,
  json,
  alone = false,
  checkOnCpu = false,
}: Flags): Promise<void> {
  const opened = variant === undefined ? await openModel({ checkpoint }) : undefined;
  const own: Program = opened?.model.program ?? syntheticProgram(withLayers(VARIANTS[variant!]!, layers));
  const measured: Measured[] = [];
  await mkdir(resolve(dir), { recursive: true });
  for (const precision of dtypes) {
    measured.push(
      await measure({
        program: own,
        precision,
        ...(variant !== undefined && { quantize: randomCodes }),
        dir: join(resolve(dir), precision),
        promptTokens,
        steps,
        warmUps,
        runs,
        peaks: ({ isSoftware }) =>
          isSoftware
            ? { copyBytes: COPY_BYTES.software, milliseconds: 200 }
            : { copyBytes: COPY_BYTES.real, milliseconds: 50 },
        alone,
        checkOnCpu,
        log: (line) => void process.stderr.write(`${line}\n`),
      }),
    );
    if (json !== undefined) await writeFile(json, `${JSON.stringify(measured, undefined, 1)}\n`);
  }
  await opened?.close();
  const model =
    variant === undefined
      ? checkpoint
      : `${variant}, seeded weights${layers === undefined ? '' : `, ${layers} layers`}`;
  console.log(speedReport(measured, `${model}; ${warmUps} warm-ups, ${runs} runs, interleaved`));
}

async function plans({ variant, layers, dtypes }: Flags): Promise<Parameters<typeof planReport>[0]> {
  const variants = variant === undefined ? Object.keys(VARIANTS).filter((name) => name.endsWith('-224')) : [variant];
  const rows: { variant: string; precision: string; counters: ReturnType<typeof countPlan> }[] = [];
  for (const name of variants) {
    const own = syntheticProgram(withLayers(VARIANTS[name]!, layers));
    for (const precision of dtypes)
      rows.push({ variant: name, precision, counters: countPlan(await programIn(own, precision, wgsl), precision) });
  }
  return rows;
}

function withLayers({ vision, text, ...rest }: PaliGemmaConfig, layers = Infinity): PaliGemmaConfig {
  return {
    ...rest,
    vision: { ...vision, layers: Math.min(vision.layers, layers) },
    text: {
      ...text,
      layers: Math.min(text.layers, layers),
      slidingLayers: text.slidingLayers.filter((layer) => layer < layers),
    },
  };
}

function knownPrecision(text: string): Precision {
  const known = PRECISIONS.find((name) => name === text);
  if (!known) throw new InvalidArgumentError(`choose from ${PRECISIONS.join(', ')}.`);
  return known;
}
