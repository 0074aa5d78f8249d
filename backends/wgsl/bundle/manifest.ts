import type { ProgramMetadata } from '../../../ir/metadata.ts';
import type { Plan } from './plan.ts';

/** What `manifest.pgw` holds. */
export interface WgslManifest {
  /** As the command line spells it. */
  readonly precision: string;
  readonly model: ProgramMetadata;
  readonly plan: Plan;
}

export const MANIFEST_PATH = 'manifest.pgw';
/** Raised when a runtime of the last version would misread a bundle. */
export const FORMAT_VERSION = 1;
/** WebGPU's minStorageBufferOffsetAlignment: where weights begin in a shard. */
export const WEIGHT_ALIGNMENT = 256;
/** The most that a shard has: few requests to fetch it, one buffer that every WebGPU device can make and bind whole. */
export const SHARD_BYTES = 128 * 1024 * 1024;

/** The numbers of enumerations in the file. */
export const ACCESS = ['read', 'read_write'] as const;
export const ROLES = ['port', 'scratch'] as const;
export const ELEMENT_TYPES = ['f32', 'i32', 'bool'] as const;
export const BINDING_KINDS = ['buffer', 'weight'] as const;
