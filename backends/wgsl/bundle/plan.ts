/**
 * A compiled program as plain data: what `manifest.pgw` holds and the runtime executes. Nothing here knows the IR, so
 * that the runtime is small. References are indices into the lists of the plan.
 */
export interface Plan {
  /**
   * Names of the sizes that are known when the model runs. Each is a u32 of the uniform block `dims`, in this order.
   */
  readonly symbols: readonly string[];
  readonly shards: readonly Shard[];
  readonly weights: readonly WeightRange[];
  readonly shaders: readonly ShaderFile[];
  readonly pipelines: readonly Pipeline[];
  readonly buffers: readonly PlannedBuffer[];
  readonly phases: readonly Phase[];
}

/** The symbol of the room of whatever grows with `past`: an axis whose size contains `past` lies at this stride. */
export const CAPACITY = 'capacity';

/** constant + Σ factor · symbol: a Dim of the IR. */
export interface Size {
  readonly constant: number;
  readonly terms: readonly { readonly symbol: number; readonly factor: number }[];
}

/** ⌈Π factors / divide⌉ */
export interface Extent {
  readonly factors: readonly Size[];
  readonly divide: number;
}

/** A file of weights: one GPU buffer. */
export interface Shard {
  readonly path: string;
  readonly byteLength: number;
  /** SHA-256 of the file in lower-case hexadecimal digits; known when it has been written. */
  readonly sha256: string;
}

/** Bytes of a shard that a kernel binds: one tensor, or its scales. */
export interface WeightRange {
  readonly name: string;
  readonly shard: number;
  /** A multiple of 256, as bindings need. */
  readonly offset: number;
  readonly byteLength: number;
}

export interface ShaderFile {
  /** `shaders/<name>.wgsl` */
  readonly path: string;
  readonly sha256: string;
  readonly byteLength: number;
}

export type Access = 'read' | 'read_write';

export interface Pipeline {
  /** Best first; the last needs no feature. All have the same bindings and grid. */
  readonly variants: readonly { readonly shader: number; readonly features: readonly string[] }[];
  /** Of bindings 1, 2, …: binding 0 is the uniform block `dims`. */
  readonly access: readonly Access[];
}

/** Memory of the device. Values whose lifetimes are apart share one: it is as large as the largest needs. */
export interface PlannedBuffer {
  readonly label: string;
  /** Bytes: the largest of these products of sizes with `bytes`. */
  readonly sizes: readonly { readonly factors: readonly Size[]; readonly bytes: number }[];
  /**
   * Port buffers hold what goes between phases or outlives them (KV cache, logits); scratch is shared by all phases.
   */
  readonly role: 'port' | 'scratch';
}

/** How elements lie on the device: i64 of the IR is i32, bool a u32 of 0 or 1. */
export type ElementType = 'f32' | 'i32' | 'bool';

/** A value in a buffer. */
export interface PlannedValue {
  /** Name of the port, of the stage, or of the IR value. */
  readonly name: string;
  readonly type: ElementType;
  readonly shape: readonly Size[];
  /** The axis that lies at `capacity`, where the shape has one. */
  readonly growing?: number;
  readonly buffer: number;
}

export type Binding =
  | { readonly kind: 'buffer'; readonly index: number }
  | { readonly kind: 'weight'; readonly index: number };

/** One dispatch. */
export interface Step {
  /** Name of the IR value that it makes, for profiles and dumps. */
  readonly label: string;
  readonly pipeline: number;
  readonly bindings: readonly Binding[];
  /**
   * Workgroups in x, y, z. An x beyond 65535 is folded into y by the runtime: kernels with such an x compute a flat
   * index.
   */
  readonly grid: readonly [Extent, Extent, Extent];
  /** Values that are there after this step, for dumps. */
  readonly produces: readonly PlannedValue[];
}

/** A size that an input states (`num_logits_to_keep`), rather than a shape. */
export interface ScalarSymbol {
  readonly symbol: number;
  readonly input: string;
  /** What 0 means. */
  readonly whenZero: Size;
}

/** A graph of the program for some sizes. */
export interface Phase {
  /** `vision_encoder`, `embed_tokens`, `decoder`, `decoder.step`: the last is the decoder for one new token a row. */
  readonly name: string;
  /** The IR graph that it computes. */
  readonly graph: string;
  /** Sizes that it is compiled for: `{seq: 1, kept: 1}`. */
  readonly fixed: readonly { readonly symbol: number; readonly value: number }[];
  readonly scalars: readonly ScalarSymbol[];
  readonly inputs: readonly PlannedValue[];
  readonly outputs: readonly PlannedValue[];
  /** A KV cache's input and output are one buffer: pairs of port names. */
  readonly inPlace: readonly { readonly input: string; readonly output: string }[];
  readonly stages: readonly PlannedValue[];
  readonly steps: readonly Step[];
}
