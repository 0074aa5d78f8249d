import { answersOnly } from '../answers_only.ts';
import type { Backend, Refusal } from '../backend.ts';
import { filesWithReadme } from '../client_files.ts';
import { describe, storedTensors } from './describe.ts';
import { emit } from './emit.ts';
import { readme } from './readme.ts';
import { open } from './run.ts';

const NO_BF16: Refusal = { reason: 'WGSL has no bf16', instead: 'fp16 or fp32' };

const NO_HALF_ACTIVATIONS: Refusal = { reason: 'activations are f32 on every device', instead: 'int4' };

/**
 * Shaders, packed weights and the steps to run them, for any WebGPU device: `pgconv/runtime` runs them in browsers and
 * in Node. Everything is computed in f32; a precision is how weights are stored.
 */
export const wgsl: Backend = {
  name: 'wgsl',
  devices: ['webgpu'],
  targets: [],
  choices: ['accuracyLevel', 'perChannel'],
  refusal: (precision) => ({ bf16: NO_BF16, q4f16: NO_HALF_ACTIVATIONS })[precision],
  floatZeros: true,
  narrowing: (dtype) => (dtype === 'f16' ? 'store' : NO_BF16),
  modelRefusal: answersOnly,
  emit: (program, options) => emit(program, options),
  clientFiles: ({ prepared, facts }) => filesWithReadme([prepared.preprocessor(), prepared.tokenizer()], facts, readme),
  open,
  describe,
  storedTensors,
};
