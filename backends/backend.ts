import type { DType } from '../ir/dtypes/index.ts';
import type { Kernels } from '../ir/evaluate.ts';
import type { GraphRun } from '../ir/graph_run.ts';
import type { FormatName } from '../ir/formats/index.ts';
import type { Program, ProgramMetadata } from '../ir/graph.ts';
import type { PassListener } from '../ir/passes/index.ts';
import type { Tensor, TensorData } from '../ir/tensor.ts';
import type { ClientFiles, ClientInput } from './client_files.ts';
import type { DeviceFacts } from './device_facts.ts';
import type { BundleFolder, Description, StoredTensor } from './description.ts';
import type { ForeignBundles } from './foreign.ts';
import type { StoredField } from './stored_field.ts';

/**
 * Kernels may round activations to 8 bits before products by codes: with a range for each block of a row (or a stored
 * one), or with one for a whole tensor, which all its rows and tokens move.
 */
export type RoundedActivations = 'in blocks' | 'as a whole';

/** One file of a bundle. Its size is known before its bytes are made. */
export interface ArtifactFile {
  /** Relative to the bundle, with `/`. */
  readonly path: string;
  readonly byteLength: number;
  /**
   * Pieces in order, each with the tensor it belongs to when there is one: for messages and for the search for
   * overflow.
   */
  chunks(request?: ChunkRequest): AsyncIterable<ArtifactChunk>;
}

/** What a writer of files wants and knows. */
export interface ChunkRequest {
  /** The byte to begin at, the first of an element; default 0. What lies before it is not made. */
  readonly from?: number;
  /** The hash of another file of the bundle, in hexadecimal digits, once it is written: for files that name hashes. */
  readonly sha256Of?: (path: string) => Promise<string>;
}

export interface ArtifactChunk {
  /** The consumer owns the bytes. */
  readonly bytes: Uint8Array;
  readonly tensor?: ChunkTensor;
}

/** Whose elements the bytes are. */
export interface ChunkTensor {
  /** In the bundle. */
  readonly name: string;
  readonly dtype: DType;
  /**
   * The tensor that it came from: the same elements, in any order and without what fills them up. A search for overflow
   * reads it as it was before it was cast.
   */
  readonly source: TensorData;
}

/** What a backend makes of a program: nothing is computed until chunks are asked for. */
export interface Artifact {
  readonly files: readonly ArtifactFile[];
}

export interface RunOptions {
  /** Names of stages to return beside the outputs. */
  readonly stages?: readonly string[];
  /** Stages as another computed them: who has no names for them gives what it has that is nearest to each. */
  readonly like?: Readonly<Record<string, Tensor>>;
}

/** What is heard of runs that are computed together. */
export interface TogetherOptions {
  /** Hears of done and all units of work. */
  readonly onProgress?: (done: number, total: number) => void;
  /** Stops between two units: the reason is thrown. */
  readonly signal?: AbortSignal;
  /** Hears what a part makes of the stage that a run was given: outputs and asked stages, by name. */
  readonly onGiven?: (run: number, name: string, value: Tensor) => void;
}

/** A bundle that is open in its real runtime, or the evaluator in its place. */
export interface Runner {
  /** For reports: `onnxruntime-node 1.30.0 cpu`. */
  readonly description: string;
  /** Whether graphs run part by part, never as a whole: what needs a run again costs much. */
  readonly inParts?: boolean;
  /** Whether stages have no names in its graphs, and are looked for by their values (`like`). */
  readonly seeksStages?: boolean;
  /** Where it runs; absent for what stands in for a runtime. */
  readonly device?: DeviceFacts;
  /** Dtypes of a graph's inputs by name: precision decides those of the KV cache. */
  inputDtypes(graph: string): Promise<Readonly<Record<string, DType>>>;
  /** Runs one graph by its IR name. Inputs and results carry the names of the graph's ports. */
  run(
    graph: string,
    inputs: Readonly<Record<string, Tensor>>,
    options?: RunOptions,
  ): Promise<Readonly<Record<string, Tensor>>>;
  /**
   * Several runs of one graph, of which later ones may take what earlier ones give; absent where a weight need not be
   * read once for all of them.
   */
  runTogether?(
    graph: string,
    runs: readonly GraphRun[],
    options?: TogetherOptions,
  ): Promise<readonly Readonly<Record<string, Tensor>>[]>;
  dispose(): Promise<void>;
}

export interface OpenOptions {
  /** Where to run: a name of `devices`; default the first. */
  readonly device?: string;
  /** The executable of a browser, for devices that are one; default the one that is found. */
  readonly browser?: string;
  /**
   * Bytes of memory that it may take. A bundle that needs more is run in parts where a backend can (`runTogether`).
   * Default: as much as it needs.
   */
  readonly memory?: number;
}

export interface Backend {
  readonly name: string;
  /** Where its bundles run; the default first. */
  readonly devices: readonly [string, ...string[]];
  /** Runtimes that a bundle may be for, the default first; empty where there is only one. */
  readonly targets: readonly string[];
  /** What it lets a user choose beside precision and target; any other choice is a mistake of the user's. */
  readonly choices: readonly Choice[];
  /**
   * Why it does not have a precision, as the command line spells it, for a target (default the first); undefined when
   * it does. `narrowing` tells of floats.
   */
  refusal(precision: string, target?: string): Refusal | undefined;
  /** The target that a precision is for where nobody says; absent: the first of all. */
  defaultTarget?(precision: string): string;
  /** What is peculiar to codes of weights for a target (default the first); absent: nothing. */
  codes?(target?: string): CodeHabits;
  /** Weights of more bytes are cut along their rows before it sees them; absent where it cuts them itself. */
  readonly maxWeightBytes?: number;
  /**
   * Whether zero points of 4-bit codes may be floats, which lose less: f32 beside the codes, of values that f16
   * represents.
   */
  readonly floatZeros: boolean;
  /** Whether a table and the head that is its rows are stored once, where they are stored alike. */
  readonly sharesTable: boolean;
  /** How a target (default the first) has a 16-bit float, or why not. */
  narrowing(dtype: 'f16' | 'bf16', target?: string): Narrowing | Refusal;
  /** Why what runs its bundles cannot serve a model, in a sentence; undefined when it can. Absent: it serves all. */
  modelRefusal?(model: ProgramMetadata): string | undefined;
  /** Pure: no file is touched. `onPass` hears of every pass that it runs over the graphs before it lowers them. */
  emit(program: Program, options: EmitOptions, onPass?: PassListener): Artifact;
  /** What stands beside the emitted files: what its clients read of the checkpoint's, and a README. Pure. */
  clientFiles(input: ClientInput): ClientFiles;
  /** Packages of npm that a device needs (default the first), which users install or leave out. */
  packages(device?: string): readonly string[];
  /**
   * Whether a device is there once its packages are (default the first): before the work whose result it is to run.
   * Absent: every machine has it. Returns what it is called, as a GPU is, where that is known.
   * @throws BackendError `runtime-missing`
   */
  ready?(device?: string, options?: Pick<OpenOptions, 'browser'>): Promise<string | undefined>;
  /** Opens an emitted bundle. The runtime is imported only here. */
  open(dir: string, options?: OpenOptions): Promise<Runner>;
  /** What a bundle holds. No weight is read. @throws BackendError for a damaged one */
  describe(bundle: BundleFolder): Promise<Description>;
  /**
   * The weights, scales and zero points that a bundle stores, each once: several graphs may share one's bytes.
   * @throws BackendError for a damaged bundle
   */
  storedTensors(bundle: BundleFolder): Promise<readonly StoredTensor[]>;
  /**
   * Where every weight, scale and zero point of a bundle lies, as the ops that read it take it: for who compares them
   * with the checkpoint's. Of what stands in the bundle and of what its ops are documented to read, by no code that
   * wrote it. Numbers of a single element are the graphs' own. Absent: nobody compares them.
   * @throws BackendError for a damaged bundle
   */
  storedFields?(bundle: BundleFolder): Promise<readonly StoredField[]>;
  /**
   * Products for the evaluator that its runtime computes, in float64 and many times as fast; absent where it has none.
   * @throws BackendError `runtime-missing`
   */
  evaluatorKernels?(): Promise<Kernels>;
  /** A kind of file of its bundles that says something on its own; absent: none does. */
  readonly file?: DescribedFile;
  /** Bundles of its kind that others made, without a manifest; absent: it knows none. */
  readonly foreign?: ForeignBundles;
}

/** Files with a name that ends so are described one by one. */
export interface DescribedFile {
  /** `.onnx`. */
  readonly extension: string;
  /** Any file of the kind, of ours or not. No weight is read. @throws BackendError for a damaged one */
  describe(path: string): Promise<Description>;
}

/** How a target has codes of weights, where that is not as their formats have it. */
export interface CodeHabits {
  /** Columns that share a scale, by format; 0 for the whole row. Absent: as the format has it. */
  readonly blocks?: { readonly [N in FormatName]?: number };
  /** The default of `--mixed`, where it is not `auto`. */
  readonly mixed?: 'none';
}

/** Why something is not there, and what to use in its place: both for messages. */
export interface Refusal {
  readonly reason: string;
  readonly instead: string;
}

/** Fields of EmitOptions, and `perChannel`: int8 with one scale a row. */
export type Choice = 'quantizedOps' | 'accuracyLevel' | 'perChannel' | 'layersPerGraph';

/**
 * How a target has a narrow float: it computes in it (castFloats), or stores weights in it and computes in f32
 * (storeWeights).
 */
export type Narrowing = 'compute' | 'store';

export interface EmitOptions {
  /** Precision of the bundle as the command line spells it: it decides file names. */
  readonly precision: string;
  /** One of the backend's targets; default the first. */
  readonly target?: string;
  /**
   * Weights in blocks by kernels of the runtime that read codes as they lie (`nbits`), or by the format's own
   * dequantization for runtimes without those (`qdq`). Default `nbits`.
   */
  readonly quantizedOps?: 'nbits' | 'qdq';
  /**
   * 4 lets kernels round activations to int8 before a product by a weight in blocks: faster where bytes are, and less
   * exact. Default 0.
   */
  readonly accuracyLevel?: 0 | 4;
  /** Layers of a decoder in one graph of a format that has it in several; default what its files hold. */
  readonly layersPerGraph?: number;
}
