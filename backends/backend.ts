import type { DType } from '../ir/dtypes/index.ts';
import type { Program } from '../ir/graph.ts';
import type { CompositeName } from '../ir/ops/index.ts';
import type { Tensor } from '../ir/tensor.ts';

/** One file of a bundle. Its size is known before its bytes are made. */
export interface ArtifactFile {
  /** Relative to the bundle, with `/`. */
  readonly path: string;
  readonly byteLength: number;
  /** Pieces in order, each with the tensor it belongs to when there is one: for messages and for the search for overflow. */
  chunks(): AsyncIterable<ArtifactChunk>;
}

export interface ArtifactChunk {
  /** The consumer owns the bytes. */
  readonly bytes: Uint8Array;
  readonly tensor?: { readonly name: string; readonly dtype: DType };
}

/** What a backend makes of a program: nothing is computed until chunks are asked for. */
export interface Artifact {
  readonly files: readonly ArtifactFile[];
}

export interface RunOptions {
  /** Names of stages to return beside the outputs. */
  readonly stages?: readonly string[];
}

/** A bundle that is open in its real runtime, or the evaluator in its place. */
export interface Runner {
  /** For reports: `onnxruntime-node 1.30.0 cpu`. */
  readonly description: string;
  /** Dtypes of a graph's inputs by name: precision decides those of the KV cache. */
  inputDtypes(graph: string): Promise<Readonly<Record<string, DType>>>;
  /** Runs one graph by its IR name. Inputs and results carry the names of the graph's ports. */
  run(graph: string, inputs: Readonly<Record<string, Tensor>>, options?: RunOptions): Promise<Readonly<Record<string, Tensor>>>;
  dispose(): Promise<void>;
}

export interface OpenOptions {
  /** Where to run: a name of `devices`; default the first. */
  readonly device?: string;
}

export interface Backend {
  readonly name: string;
  /** Dtypes that it can store and compute. */
  readonly dtypes: ReadonlySet<DType>;
  /** Composites that it lowers itself; the others are decomposed before. */
  readonly native: ReadonlySet<CompositeName>;
  readonly devices: readonly string[];
  /** Whether a target can carry a dtype, and if not, why. */
  supportsDtype(target: Target, dtype: DType): true | string;
  /** How a target has a 16-bit float that it supports. */
  narrowingOf(target: Target, dtype: 'f16' | 'bf16'): Narrowing;
  /** Pure: no file is touched. */
  emit(program: Program, options: EmitOptions): Artifact;
  /** Opens an emitted bundle. The runtime is imported only here. */
  open(dir: string, options?: OpenOptions): Promise<Runner>;
}

/**
 * Which runtime a bundle is for: `portable` for all that ONNX's own ops and one graph can serve, `webgpu` with what ONNX Runtime
 * has beside them, `ort-cpu` and `ort-cuda` with fused attention for servers.
 */
export const TARGETS = ['portable', 'webgpu', 'ort-cpu', 'ort-cuda'] as const;
export type Target = (typeof TARGETS)[number];

/** How a target has a narrow float: it computes in it (castFloats), or stores weights in it and computes in f32 (storeWeights). */
export type Narrowing = 'compute' | 'store';

export interface EmitOptions {
  /** Precision of the bundle as the command line spells it: it decides file names. */
  readonly precision: string;
  /** Default `portable`. */
  readonly target?: Target;
  /**
   * Weights in blocks by kernels of the runtime that read codes as they lie (`nbits`), or by the format's own dequantization
   * for runtimes without those (`qdq`). Default `nbits`.
   */
  readonly quantizedOps?: 'nbits' | 'qdq';
  /** 4 lets kernels round activations to int8 before a product by a weight in blocks: faster on CPUs, and less exact. Default 0. */
  readonly accuracyLevel?: 0 | 4;
}
