import { evaluateDim, symbolsOf, type Dim } from '../../ir/dim.ts';
import type { DType } from '../../ir/dtypes/index.ts';
import type { ProgramMetadata } from '../../ir/graph.ts';
import { ops } from '../../ir/ops/index.ts';
import { fuseAddRmsNorm, narrowSizes, tileAttention, type Pass } from '../../ir/passes/index.ts';
import { rewriteGraph } from '../../ir/rewrite.ts';
import type { Narrowing } from '../backend.ts';
import type { Lowering } from '../lowering.ts';
import { lowerAttention, lowerAttentionWide } from './lower/attention.ts';
import type { LoweringContext } from './lower/context.ts';
import { lowering } from './lower/index.ts';
import { lowerOrByAnd } from './lower/logic.ts';
import { lowerAddRmsNorm } from './lower/residual.ts';
import type { Target } from './target.ts';

/** What a target makes of a program: the one place where targets differ. */
export interface TargetTraits {
  /** Of the graphs in a bundle; transformers.js opens `onnx`, and another by its option `subfolder`. */
  readonly folder: string;
  /** Rewrites before composites without a rule are decomposed. */
  readonly passes: (metadata: Pick<ProgramMetadata, 'imageTokens'>) => readonly Pass[];
  readonly lowering: Lowering<LoweringContext>;
  /** Whether products of 8-bit codes are two of 4 bits, for CPUs; elsewhere a second kernel gains nothing. */
  readonly halves: boolean;
  /** Dtypes beyond f32 and integers, each with how it is had or why not. */
  readonly f16: Narrowing;
  readonly bf16: Narrowing | { readonly refused: string };
}

const MIB = 2 ** 20;
/**
 * Half a GiB stays far from the 2 GiB of a browser's ArrayBuffer and from 1 GB files, and it is what a transposed
 * weight holds in memory.
 */
export const MAX_WEIGHT_BYTES = 512 * MIB;
/**
 * What every WebGPU device can bind as one buffer (WebGPU, limits, maxStorageBufferBindingSize). At 224 and 448 px all
 * scores fit.
 */
const WEBGPU_SCORE_BYTES = 128 * MIB;
/**
 * At 896 px scores of all 8 heads of a 3B are 606 MB; two heads at a time keep both threads of a small machine busy.
 */
const CPU_SCORE_BYTES = 256 * MIB;
/** Prompt tokens beside those of the image, for what a prefill may hold: the longest of PaliGemma's tasks. */
const PROMPT_TOKENS = 256;

/** One picture with its prompt. */
function tiles(maxScoreBytes: number) {
  return ({ imageTokens }: Pick<ProgramMetadata, 'imageTokens'>): Pass => {
    const sizes: Readonly<Record<string, number>> = { seq: imageTokens + PROMPT_TOKENS, past: 0 };
    const sizeOf = (dim: Dim) =>
      evaluateDim(dim, new Map(symbolsOf(dim).map((symbol) => [symbol, sizes[symbol] ?? 1])));
    return tileAttention({ maxScoreBytes, sizeOf });
  };
}

/**
 * Attention-23 of the CPU caps scores one by one: a prefill with a softcap takes twice the time of the fold, and a step
 * no less.
 */
const foldCapped: Pass = {
  name: 'fold_capped_attention',
  doc: 'Attention with a softcap becomes what it is made of.',
  run: (graph) =>
    rewriteGraph(graph, (node, { inputs, builder }) =>
      node.op === 'attention' && node.attrs.softcap !== 0
        ? ops.attention.decompose(builder, inputs, node.attrs)
        : undefined,
    ),
};

/*
 * What each fusion brings (npm run bench -- --only decoding times the decoder, --only attention the forms;
 * docs/targets.md):
 * - Attention-23 on the CPU, without a softcap: prefills of many tokens; see lower/attention.ts for why the WebGPU
 *   targets have none.
 * - SkipSimplifiedLayerNormalization: two kernels less a layer on a GPU, where each costs a dispatch; no time on the
 *   CPU, where it is left out.
 * - Products of one input joined into one (q, k, v; gate, up): no time, neither in f32 nor in 4 bits, neither on the
 *   CPU nor under SwiftShader, and joined codes would be quantized twice. Not done.
 * - FastGelu and contrib RotaryEmbedding: the time of Gelu-20 and RotaryEmbedding-23. Not done.
 * - Bias into the product: ONNX Runtime does that itself (MatMul and Add become Gemm when a session opens). Not done.
 */
const portable: TargetTraits = {
  folder: 'onnx',
  passes: (metadata) => [tiles(WEBGPU_SCORE_BYTES)(metadata), narrowSizes],
  lowering: { ...lowering, or: lowerOrByAnd },
  halves: true,
  f16: 'compute',
  bf16: { refused: 'neither the CPU nor the WebGPU provider has a product in bf16' },
};

export const targets: Readonly<Record<Target, TargetTraits>> = {
  portable,
  webgpu: {
    ...portable,
    passes: (metadata) => [...portable.passes(metadata), fuseAddRmsNorm],
    lowering: { ...portable.lowering, add_rms_norm: lowerAddRmsNorm },
    halves: false,
    bf16: { refused: 'WGSL has no bf16' },
  },
  'ort-cpu': {
    folder: 'onnx-ort',
    passes: (metadata) => [tiles(CPU_SCORE_BYTES)(metadata), foldCapped],
    lowering: { ...lowering, attention: lowerAttentionWide },
    halves: true,
    // the CPU provider has no product in 16 bits: constants are widened once, when the session opens
    f16: 'store',
    bf16: 'store',
  },
  'ort-cuda': {
    folder: 'onnx-ort',
    passes: () => [fuseAddRmsNorm],
    lowering: { ...lowering, attention: lowerAttention, add_rms_norm: lowerAddRmsNorm },
    halves: false,
    f16: 'compute',
    bf16: 'compute',
  },
};

/** Whether a target can carry a dtype, and if not, why. */
export function supportsDtype(target: Target, dtype: DType): true | string {
  if (dtype !== 'bf16') return true;
  const { bf16 } = targets[target];
  return typeof bf16 === 'string' || `${target} has no bf16: ${bf16.refused}`;
}
