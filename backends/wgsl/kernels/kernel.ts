import type { Dim } from '../../../ir/dim.ts';
import type { Access } from '../bundle/plan.ts';

/** ⌈Π factors / divide⌉ workgroups. */
export interface GridAxis {
  readonly factors: readonly Dim[];
  readonly divide: number;
}

/** Storage buffers that a kernel may bind: WebGPU's default maxStorageBuffersPerShaderStage. */
export const MOST_BINDINGS = 8;

export interface KernelBinding {
  /** Name in the shader. */
  readonly name: string;
  /** `array<f32>`, `array<vec4<u32>>`, … */
  readonly type: string;
  readonly access: Access;
}

/** One compute shader, entry point `main`, before its header (uniform block `dims`, bindings) is put in front. */
export interface Kernel {
  /** File stem, from what it computes: `matvec_q4_norm_2048x16384`. Equal code under one name becomes one file. */
  readonly name: string;
  /** What it computes, with shapes; becomes the comment at the head. */
  readonly doc: string;
  readonly bindings: readonly KernelBinding[];
  /** WGSL without the header: constants, workgroup memory, functions, `main`. Sizes by `dimText`. */
  readonly body: string;
  readonly grid: readonly [GridAxis, GridAxis, GridAxis];
  /**
   * Variants with features, of the device or of its WGSL, best first, with the same bindings and grid as the plain
   * body.
   */
  readonly variants?: readonly { readonly features: readonly string[]; readonly body: string }[];
}

/** A count of workgroups that no symbol changes. */
export const fixedAxis = (count: number): GridAxis => ({ factors: [count], divide: 1 });
export const ONE: GridAxis = fixedAxis(1);
