import { mkdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { onnx } from '../../../backends/onnx/index.ts';
import { tfjs } from '../../../backends/tfjs/index.ts';
import { TF_BACKENDS as DEVICES, type TfDevice } from '../../../backends/tfjs/node_tfjs.ts';
import { wgsl } from '../../../backends/wgsl/index.ts';
import type { Program } from '../../../ir/graph.ts';
import type { Precision } from '../../../verify/tolerances.ts';
import { wholeNumber } from '../../cli/options.ts';
import { tableText } from '../../terminal/table.ts';
import { VARIANTS } from '../../models/paligemma/config.ts';
import { openModel } from '../../models/open_model.ts';
import { compareSides, p95Of, STAGES, type SideTimes } from '../gpu/compare.ts';
import { openOrtSide } from '../gpu/ort_side.ts';
import { programIn, syntheticProgram } from '../gpu/programs.ts';
import { openShaderModel } from '../gpu/shader_model.ts';
import { shaderSide } from '../gpu/shader_side.ts';
import { benchPrompt, type Side } from '../gpu/side.ts';
import { medianOf } from '../../compile/median.ts';
import { measureFolder } from './measure_folder.ts';
import { openTfjsSide } from './tfjs_side.ts';
import { measureTower } from './tower.ts';

interface Flags {
  readonly checkpoint: string;
  readonly device: TfDevice;
  readonly dtypes: readonly Precision[];
  readonly promptTokens: number;
  readonly steps: number;
  readonly warmUps: number;
  readonly runs: number;
  readonly dir: string;
  readonly tower?: string;
  readonly bundle?: string;
}

const PRECISIONS = ['fp32', 'fp16', 'int8', 'int4'] as const satisfies readonly Precision[];

const flags = new Command('npm run bench:tfjs --')
  .description(
    'Time per token of a checkpoint as a tfjs bundle, a bundle of shaders and an ONNX bundle of the same precision, by turns in one run: the last two on WebGPU where tfjs is, else onnxruntime on the CPU. ' +
      'Or, with --tower, how long an image tower of real size takes to load into tfjs and to run, and the memory it takes. Or, with --bundle, the same of a bundle that was made before, with one run of it.',
  )
  .option('--checkpoint <path>', 'checkpoint to convert', 'fixtures/shapes/hf')
  .addOption(new Option('--device <name>', 'backend of tfjs').choices([...DEVICES]).default('webgpu'))
  .option('--dtypes <name,...>', 'precisions', (text) => text.split(',').map(knownPrecision), ['fp16', 'int4'])
  .option('--prompt-tokens <n>', 'tokens of text behind those of the picture', wholeNumber(1), 16)
  .option('--steps <n>', 'steps that a run decodes', wholeNumber(1), 16)
  .option('--warm-ups <n>', 'runs before any is timed', wholeNumber(0), 2)
  .option('--runs <n>', 'timed runs', wholeNumber(1), 9)
  .option('--dir <dir>', 'folder for the files, which go in the end', 'tmp/bench-tfjs')
  .addOption(
    new Option(
      '--tower <variant>',
      'the image tower of a published model, with seeded weights, in the first of --dtypes',
    ).choices(Object.keys(VARIANTS)),
  )
  .option('--bundle <dir>', 'a bundle of any size, as `pgconv convert --to tfjs` writes it')
  .parse()
  .opts<Flags>();

if (flags.bundle !== undefined) await measureFolder(flags.bundle, flags, (line) => console.log(line));
else if (flags.tower !== undefined)
  console.log(
    await measureTower(
      await programIn(syntheticProgram(VARIANTS[flags.tower]!), flags.dtypes[0]!, tfjs),
      flags.dtypes[0]!,
      resolve(flags.dir),
      flags.device,
    ),
  );
else await compare(flags);
// threads of Dawn and of onnxruntime may still be at work on nothing
process.exit(0);

async function compare({ checkpoint, dtypes, device, promptTokens, steps, warmUps, runs, dir }: Flags): Promise<void> {
  const opened = await openModel({ checkpoint });
  const { program } = opened.model;
  const rows: (string | number)[][] = [];
  const notes = new Set<string>();
  for (const precision of dtypes) {
    const folder = join(resolve(dir), precision);
    await mkdir(folder, { recursive: true });
    const sides = await openSides(program, precision, device, folder);
    try {
      const { pixels, tokens } = benchPrompt(program.metadata, promptTokens);
      const times = await compareSides(sides, { pixels, tokens, steps, warmUps, runs });
      rows.push(...rowsOf(times, precision, steps));
      for (const { name, does } of sides) notes.add(`${name.split(' ')[0]!}: ${does}`);
      notes.add(agreement(times, precision));
    } finally {
      for (const side of sides) await side.close();
      await rm(folder, { recursive: true, force: true });
    }
  }
  await opened.close();
  console.log(
    [
      `${checkpoint}; ${warmUps} warm-ups, ${runs} runs, interleaved; ${process.env['PGCONV_GPU'] === 'system' ? 'the GPU that Dawn finds' : 'WebGPU as the environment has it'}`,
      tableText(['dtype', 'stage', 'side', 'median', 'p95', '÷ tfjs'], rows, [3, 4, 5]),
      ...notes,
    ].join('\n'),
  );
}

/** tfjs first: the others are compared with it. */
async function openSides(
  program: Program,
  precision: Precision,
  device: TfDevice,
  dir: string,
): Promise<readonly Side[]> {
  const sides = [
    await openTfjsSide(
      `tfjs ${device}`,
      await programIn(program, precision, tfjs),
      precision,
      join(dir, 'tfjs'),
      device,
    ),
  ];
  const onGpu = device === 'webgpu';
  if (onGpu)
    sides.push(shaderSide('shaders webgpu', await openShaderModel(await programIn(program, precision, wgsl)), 64));
  // onnxruntime has no f16 on a GPU without shader-f16
  const floats: Precision = precision === 'fp16' && onGpu ? 'fp32' : precision;
  sides.push(
    await openOrtSide(
      `onnxruntime ${floats} ${onGpu ? 'webgpu' : 'cpu'}`,
      await programIn(program, floats, onnx, { target: 'webgpu' }),
      floats,
      join(dir, 'onnx'),
      onGpu ? 'webgpu' : 'cpu',
    ),
  );
  return sides;
}

function rowsOf(times: readonly SideTimes[], precision: string, steps: number): (string | number)[][] {
  const [own] = times as [SideTimes];
  return STAGES.flatMap((stage) =>
    times.map(({ side, milliseconds }) => {
      const values = milliseconds[stage].map((value) => (stage === 'decode' ? value / steps : value));
      const ratios = milliseconds[stage].map((value, run) => value / own.milliseconds[stage][run]!);
      return [
        precision,
        stage === 'decode' ? 'a token' : stage,
        side,
        `${medianOf(values).toFixed(2)} ms`,
        `${p95Of(values).toFixed(2)} ms`,
        medianOf(ratios).toFixed(2),
      ];
    }),
  );
}

function agreement([own, ...others]: readonly SideTimes[], precision: string): string {
  return `${precision}: ${others.map(({ side, tokens }) => `${side} ${tokens.every((token, i) => token === own!.tokens[i]) ? 'says the same tokens as tfjs' : 'says other tokens than tfjs'}`).join(', ')}`;
}

function knownPrecision(text: string): Precision {
  const known = PRECISIONS.find((name) => name === text);
  if (!known) throw new InvalidArgumentError(`choose from ${PRECISIONS.join(', ')}.`);
  return known;
}
