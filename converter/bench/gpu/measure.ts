import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { onnx } from '../../../backends/onnx/index.ts';
import { wgsl } from '../../../backends/wgsl/index.ts';
import { fewestStepBytes } from '../../../backends/wgsl/compile/plan_costs.ts';
import { graphNamed, type Program } from '../../../ir/graph.ts';
import { difference, klDivergence } from '../../../verify/metrics.ts';
import type { Precision } from '../../../verify/tolerances.ts';
import type { LoadTimes } from '../../../backends/wgsl/runtime/executor.ts';
import { medianOf } from '../../compile/median.ts';
import { compareSides, STAGES, type SideTimes } from './compare.ts';
import { measurePeaks, type DevicePeaks, type PeakOptions } from './device_peaks.ts';
import { flopsOf } from './flops.ts';
import { phaseTimes, type PhaseTimes } from './kernel_times.ts';
import { matvecBandwidth } from './matvec_speed.ts';
import { openOrtSide } from './ort_side.ts';
import { programIn, type ProgramOptions } from './programs.ts';
import { openShaderModel } from './shader_model.ts';
import { shaderSide } from './shader_side.ts';
import { benchPrompt, type Side } from './side.ts';

export interface MeasureOptions {
  /** In f32, as a family builds it. */
  readonly program: Program;
  readonly precision: Precision;
  readonly quantize?: NonNullable<ProgramOptions['quantize']>;
  /** Folder for the ONNX files; emptied in the end. */
  readonly dir: string;
  /** Tokens of text behind the picture's. */
  readonly promptTokens: number;
  readonly steps: number;
  readonly warmUps: number;
  readonly runs: number;
  readonly peaks: (device: { readonly isSoftware: boolean }) => PeakOptions;
  readonly log: (line: string) => void;
  /** Beside pgconv: onnxruntime on the same GPU by turns (default), or nothing. */
  readonly alone?: boolean;
  /** Runs onnxruntime on the CPU once as well, for its logits: what does not go through WGSL. Default no. */
  readonly checkOnCpu?: boolean;
}

/** How far the logits of a prompt's last token are from pgconv's. */
export interface Apart {
  readonly relativeL2: number;
  readonly cosine: number;
  readonly kld: number;
}

export interface Measured {
  readonly precision: Precision;
  readonly adapter: string;
  readonly isSoftware: boolean;
  readonly peaks: DevicePeaks;
  /** Bytes a second that the kernels of a step read of matrices, alone. */
  readonly matvecBandwidth: number;
  readonly fewestStepBytes: number;
  readonly prefillFlops: number;
  readonly prompt: number;
  readonly steps: number;
  readonly times: readonly SideTimes[];
  /** By side: of all but pgconv. */
  readonly apart: Readonly<Record<string, Apart>>;
  /** Of pgconv, shader by shader. */
  readonly phases: readonly PhaseTimes[];
  /** Of pgconv, before anything could be asked; what is done side by side is told apart. */
  readonly loading: LoadTimes;
  readonly does: Readonly<Record<string, string>>;
  /** Sides that could not run, with the reason. */
  readonly notRun: Readonly<Record<string, string>>;
}

/**
 * What onnxruntime has for the same weights: 4 bits with activations in f32, as ours, and in f16, which is faster where
 * there are such shaders.
 */
const ORT_PRECISIONS: Readonly<Partial<Record<Precision, readonly Precision[]>>> = { int4: ['int4', 'q4f16'] };

/** SwiftShader, Mesa's llvmpipe, and Windows' WARP. */
export function isSoftware(adapter: string): boolean {
  return /swiftshader|llvmpipe|software|basic render/i.test(adapter);
}

/**
 * One precision: peaks of the device, then both runtimes by turns.
 * @throws what pgconv's side throws: a side that onnxruntime cannot open is in `notRun`
 */
export async function measure({
  program,
  precision,
  quantize,
  dir,
  promptTokens,
  steps,
  warmUps,
  runs,
  peaks,
  log,
  alone = false,
  checkOnCpu = false,
}: MeasureOptions): Promise<Measured> {
  const programs = quantize ? { quantize } : {};
  const own = await programIn(program, precision, wgsl, programs);
  const opened = await openShaderModel(own);
  const software = isSoftware(opened.adapter);
  const sides: Side[] = [shaderSide(`pgconv ${precision}`, opened, steps)];
  const notRun: Record<string, string> = {};
  try {
    log(`${precision}: open in pgconv on ${opened.adapter}`);
    const { pixels, tokens } = benchPrompt(program.metadata, promptTokens);
    for (const other of alone ? [] : (ORT_PRECISIONS[precision] ?? [precision])) {
      const name = `onnxruntime ${other}`;
      try {
        const side = await openOrtSide(
          name,
          await programIn(program, other, onnx, { ...programs, target: 'webgpu', bitsOf: wgsl }),
          other,
          join(dir, other),
        );
        sides.push(side);
        // what a device cannot do is said by the first run
        await side.encode(pixels);
        await side.prefill(tokens);
        await side.decode(1);
      } catch (error) {
        notRun[name] = error instanceof Error ? error.message.split('\n')[0]! : String(error);
        if (sides.at(-1)!.name === name) await sides.pop()!.close();
      }
      log(`${name}: ${notRun[name] ?? 'open'}`);
    }
    const measuredPeaks = await measurePeaks(opened.device, peaks({ isSoftware: software }));
    log(
      `copy ${(measuredPeaks.copyBandwidth / 1e9).toFixed(1)} GB/s, FMA ${(measuredPeaks.fmaPeak / 1e9).toFixed(1)} GFLOP/s; loading ${JSON.stringify(opened.executor.loading)}`,
    );
    const compared = await compareSides(sides, { pixels, tokens, steps, warmUps, runs });
    // said at once: what follows may take longer than whoever waits
    for (const { side, milliseconds } of compared)
      log(
        `${side}: ${STAGES.map((stage) => `${stage} ${medianOf(milliseconds[stage]).toFixed(2)} ms`).join(', ')} (${steps} steps)`,
      );
    const logits = new Map(compared.map((side) => [side.side, side.logits] as const));
    if (checkOnCpu) {
      const name = `onnxruntime ${precision} cpu`;
      const side = await openOrtSide(
        name,
        await programIn(program, precision, onnx, { ...programs, target: 'webgpu', bitsOf: wgsl }),
        precision,
        join(dir, 'cpu'),
        'cpu',
      );
      sides.push(side);
      await side.encode(pixels);
      logits.set(name, await side.prefill(tokens));
      log(`${name}: done`);
    }
    const [[, ours], ...others] = [...logits] as [[string, ArrayLike<number>], ...[string, ArrayLike<number>][]];
    const matvec = await matvecBandwidth(opened);
    log(`matvec kernels ${(matvec / 1e9).toFixed(1)} GB/s`);
    const prompt = { batch_size: 1, kept: 1 };
    return {
      precision,
      adapter: opened.adapter,
      isSoftware: software,
      peaks: measuredPeaks,
      matvecBandwidth: matvec,
      fewestStepBytes: fewestStepBytes(own),
      prefillFlops: flopsOf(
        graphNamed(own, 'decoder'),
        new Map(Object.entries({ batch_size: 1, seq: tokens.length, past: 0, kept: 1 })),
      ),
      prompt: tokens.length,
      steps,
      times: compared.map(({ side, milliseconds, tokens }) => ({ side, milliseconds, tokens })),
      apart: Object.fromEntries(others.map(([name, theirs]) => [name, apartOf(ours, theirs)])),
      phases: [
        await phaseTimes(opened, 'vision_encoder', { images: 1 }),
        await phaseTimes(opened, 'decoder', { ...prompt, seq: tokens.length, past: 0 }),
        await phaseTimes(opened, 'decoder.step', { ...prompt, seq: 1, past: tokens.length }),
      ],
      loading: opened.executor.loading,
      does: Object.fromEntries(sides.map((side) => [side.name, side.does])),
      notRun,
    };
  } finally {
    for (const side of sides) await side.close();
    await rm(dir, { recursive: true, force: true });
  }
}

function apartOf(ours: ArrayLike<number>, theirs: ArrayLike<number>): Apart {
  const rowOf = (data: ArrayLike<number>) => ({ data: Float64Array.from(data), starts: [0], columns: theirs.length });
  const [candidate, reference] = [rowOf(ours), rowOf(theirs)];
  const { relativeL2, cosine } = difference(candidate, reference);
  return { relativeL2, cosine, kld: klDivergence(candidate, reference, 0) };
}
