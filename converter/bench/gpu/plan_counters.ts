import type { Program } from '../../../ir/graph.ts';
import { manifestByteLength } from '../../../backends/wgsl/bundle/write_manifest.ts';
import type { Plan } from '../../../backends/wgsl/bundle/plan.ts';
import { layOutShards } from '../../../backends/wgsl/bundle/shards.ts';
import { compile } from '../../../backends/wgsl/compile/compile.ts';
import {
  answerRuns,
  bufferBytes,
  fewestStepBytes,
  repeatedBytes,
  stepKernels,
  stepWeightBytes,
} from '../../../backends/wgsl/compile/plan_costs.ts';

/** Of a program in one precision: what its plan says before anything runs. Bytes, unless a name says otherwise. */
export interface PlanCounters {
  readonly layers: number;
  /** Shaders of the kernels of a further token, in order, without the two that choose it. */
  readonly kernels: readonly string[];
  /** Bound by a further token, tables of angles apart, and the least that its scheme has to read. */
  readonly stepWeights: number;
  readonly fewestStepWeights: number;
  /** Bound a second time by a further token. */
  readonly repeated: number;
  readonly largestRange: number;
  readonly weights: number;
  readonly shards: number;
  readonly shaders: number;
  readonly shaderBytes: number;
  readonly pipelines: number;
  readonly mostBindings: number;
  readonly manifestBytes: number;
  /** On the device after one picture, a prompt and an answer: buffers beside weights. */
  readonly buffers: number;
  readonly largestBuffer: number;
  /** Of the KV cache, which the buffers hold. */
  readonly cache: number;
}

/** Tokens of text behind those of the picture, and of the answer, when memory is counted. */
export const [PROMPT, ANSWER] = [16, 256];

/** The name of the tables of angles, of which a step reads one row a sequence. */
const ANGLES = 'rope.cos';

/** Compiles a program; reads no weight. @throws BackendError for what no kernel computes */
export function countPlan(program: Program, precision: string): PlanCounters {
  const { metadata } = program;
  const compiled = compile(program);
  const { shards, ranges } = layOutShards(compiled.weights);
  const sha256 = '0'.repeat(64);
  const plan: Plan = {
    ...compiled.plan,
    weights: ranges,
    shards: shards.map(({ path, byteLength }) => ({ path, byteLength, sha256 })),
    shaders: compiled.shaders.map(({ path, text }) => ({ path, byteLength: Buffer.byteLength(text), sha256 })),
  };
  const isTable = (name: string) => name === ANGLES;
  const tokens = metadata.imageTokens + PROMPT;
  const buffers = bufferBytes(plan, answerRuns(tokens, ANSWER));
  return {
    layers: metadata.layers,
    kernels: stepKernels(plan),
    stepWeights: stepWeightBytes(plan, isTable),
    fewestStepWeights: fewestStepBytes(program),
    repeated: repeatedBytes(plan, isTable),
    largestRange: Math.max(...ranges.map(({ byteLength }) => byteLength)),
    weights: sum(shards.map(({ byteLength }) => byteLength)),
    shards: shards.length,
    shaders: plan.shaders.length,
    shaderBytes: sum(plan.shaders.map(({ byteLength }) => byteLength)),
    pipelines: plan.pipelines.length,
    mostBindings: Math.max(...plan.pipelines.map(({ access }) => access.length)),
    manifestBytes: manifestByteLength({ precision, model: metadata, plan }),
    buffers: sum(buffers),
    largestBuffer: Math.max(...buffers),
    cache: 2 * 4 * metadata.layers * metadata.kvHeads * metadata.headDim * (tokens + ANSWER + 1),
  };
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
