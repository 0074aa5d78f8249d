import type { Graph, Program, Value } from '../../../ir/graph.ts';
import type { OpName } from '../../../ir/ops/index.ts';
import { elementCount } from '../../../ir/tensor.ts';
import { contentKey } from '../../../ir/views/content.ts';
import { viewBehind } from '../../../ir/views/view.ts';
import type { Phase, Plan } from '../bundle/plan.ts';
import { bytesOf } from '../runtime/sizes.ts';

/* What a plan costs, counted without running it. */

/** Phases that make one further token, in order. */
const STEP_PHASES = ['embed_tokens.step', 'decoder.step'] as const;

/** @throws Error when the plan has no such phase */
export function phaseNamed({ phases }: Pick<Plan, 'phases'>, name: string): Phase {
  const phase = phases.find((candidate) => candidate.name === name);
  if (!phase) throw new Error(`no phase "${name}": there are ${phases.map((one) => one.name).join(', ')}`);
  return phase;
}

/**
 * Kernels that run for a further token of every row, without those that choose it: names of their shaders, in order.
 */
export function stepKernels(plan: Pick<Plan, 'phases' | 'pipelines' | 'shaders'>): readonly string[] {
  return STEP_PHASES.flatMap((name) => phaseNamed(plan, name).steps.map((step) => kernelOf(plan, step.pipeline)));
}

/** `shaders/gemm_f16_2048x2048_v2.wgsl` is `gemm_f16_2048x2048_v2`: the variant without features. */
export function kernelOf({ pipelines, shaders }: Pick<Plan, 'pipelines' | 'shaders'>, pipeline: number): string {
  return shaders[pipelines[pipeline]!.variants.at(-1)!.shader]!.path.replace(/^.*\/|\.wgsl$/g, '');
}

/**
 * Bytes of the ranges of weights that a further token binds, each counted once: all that it reads, and the rows of
 * tables that it does not read.
 * @param isTable leaves out ranges of which a kernel reads single rows
 */
export function stepWeightBytes(plan: Pick<Plan, 'phases' | 'weights'>, isTable: (name: string) => boolean): number {
  const bound = new Set(STEP_PHASES.flatMap((name) => boundWeights(phaseNamed(plan, name))));
  return sumOf(
    [...bound]
      .map((index) => plan.weights[index]!)
      .filter(({ name }) => !isTable(name))
      .map(({ byteLength }) => byteLength),
  );
}

/**
 * Bytes of the ranges that kernels of the decoder's step bind a second time, and so on: read twice, unless each reads a
 * part.
 */
export function repeatedBytes(plan: Pick<Plan, 'phases' | 'weights'>, isTable: (name: string) => boolean): number {
  const bound = boundWeights(phaseNamed(plan, 'decoder.step'));
  const again = bound.filter((index, i) => bound.indexOf(index) !== i).map((index) => plan.weights[index]!);
  return sumOf(again.filter(({ name }) => !isTable(name)).map(({ byteLength }) => byteLength));
}

function boundWeights({ steps }: Phase): readonly number[] {
  return steps.flatMap(({ bindings }) => bindings.flatMap(({ kind, index }) => (kind === 'weight' ? [index] : [])));
}

/** A run of a phase, with the sizes that are new. */
export interface PhaseRun {
  readonly phase: string;
  readonly sizes: Readonly<Record<string, number>>;
}

/**
 * Bytes of each buffer after these runs in this order: as large as any run that touches it needs. As the executor
 * allocates.
 */
export function bufferBytes(
  { symbols, buffers, phases }: Pick<Plan, 'symbols' | 'phases' | 'buffers'>,
  runs: readonly PhaseRun[],
): readonly number[] {
  const sizes = symbols.map(() => 1);
  const bytes = buffers.map(() => 0);
  for (const run of runs) {
    for (const [name, value] of Object.entries(run.sizes)) sizes[symbols.indexOf(name)] = value;
    const { inputs, outputs, stages, steps } = phaseNamed({ phases }, run.phase);
    const bound = steps.flatMap(({ bindings }) =>
      bindings.flatMap(({ kind, index }) => (kind === 'buffer' ? [index] : [])),
    );
    for (const index of new Set([...inputs, ...outputs, ...stages].map(({ buffer }) => buffer).concat(bound)))
      bytes[index] = Math.max(bytes[index]!, Math.ceil(bytesOf(buffers[index]!, sizes) / 16) * 16);
  }
  return bytes;
}

/** One picture with a prompt, then tokens one by one. */
export function answerRuns(tokens: number, newTokens: number): readonly PhaseRun[] {
  const rows = { batch_size: 1, kept: 1, capacity: tokens + newTokens + 1 };
  return [
    { phase: 'vision_encoder', sizes: { images: 1 } },
    { phase: 'embed_tokens', sizes: { ...rows, seq: tokens, past: 0 } },
    { phase: 'decoder', sizes: {} },
    { phase: 'embed_tokens.step', sizes: { seq: 1, past: tokens + newTokens - 1 } },
    { phase: 'decoder.step', sizes: {} },
  ];
}

/**
 * The fewest bytes of weights that a further token can read: every weight of the decoder once, as many bits as its
 * scheme has. Scales and float zero points that f16 represents have 16. Of tables that are read by rows, one row
 * counts.
 */
export function fewestStepBytes({ graphs }: Program): number {
  const graph = graphs.find(({ name }) => name === 'decoder')!;
  const [tables, besideCodes] = [operandsOf(graph, { rope: 2, gather: 0 }), operandsOf(graph, { quantized_linear: 2 })];
  const counted = new Map<string, number>();
  for (const constant of graph.constants) {
    if (constant.kind !== 'weight') continue;
    const { value, data } = constant;
    const isHalf = besideCodes.has(value) && viewBehind(data).source.dtype === 'f16';
    const bytes = (elementCount(data.shape) * (isHalf ? 16 : bitsOf(data.dtype))) / 8;
    counted.set(contentKey(data), tables.has(value) ? bytes / data.shape[0]! : bytes);
  }
  return sumOf([...counted.values()]);
}

function bitsOf(dtype: string): number {
  return Number(/\d+$/.exec(dtype)![0]);
}

/** What nodes of these ops read as operands from the one given on. */
function operandsOf({ nodes }: Graph, from: { readonly [N in OpName]?: number }): ReadonlySet<Value> {
  return new Set(nodes.flatMap(({ op, inputs }) => (from[op] === undefined ? [] : inputs.slice(from[op]))));
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
