import type { DType } from '../../ir/dtypes/index.ts';
import type { Backend, Refusal } from '../backend.ts';
import { emit } from './emit.ts';
import { native } from './lower.ts';
import { DEVICES } from './node_tfjs.ts';
import { open } from './run.ts';
import { profileOf, PROFILES } from './target.ts';

const NO_BF16: Refusal = { reason: 'tfjs has no bf16', instead: 'fp16 or fp32' };

/**
 * Graph models for TensorFlow.js, which its own loader reads, and what `pgconv/tfjs` needs to drive them. Everything is computed in
 * f32; a precision is how weights are stored, and in the profile `packed` also how they lie on the device.
 */
export const tfjs: Backend = {
  name: 'tfjs',
  dtypes: new Set<DType>(['f32', 'f16', 'i32', 'i64', 'bool', 'u4', 'i4', 'u8', 'i8']),
  native,
  devices: DEVICES,
  targets: PROFILES,
  choices: [],
  refusedPrecisions: { bf16: NO_BF16, q4f16: { reason: 'activations are f32 on every device', instead: 'int4' } },
  floatZeros: false,
  narrowing: (dtype) => (dtype === 'f16' ? 'store' : NO_BF16),
  emit: (program, { precision, target }) => emit(program, { precision, profile: profileOf(target) }),
  open,
};
