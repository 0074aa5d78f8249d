import { answersOnly } from '../answers_only.ts';
import type { Backend } from '../backend.ts';
import { filesWithReadme } from '../client_files.ts';
import { computesInF32 } from '../computes_in_f32.ts';
import { pageProvider } from '../devices.ts';
import { describe, storedTensors } from './describe.ts';
import { storedFields } from './stored_fields.ts';
import { emit } from './emit.ts';
import { readme } from './readme.ts';
import { DEVICES, open, ready } from './run.ts';

/**
 * Shaders, packed weights and the steps to run them, for any WebGPU device: `pgconv/runtime` runs them in browsers and
 * in Node. Everything is computed in f32; a precision is how weights are stored.
 */
export const wgsl: Backend = {
  name: 'wgsl',
  devices: DEVICES,
  targets: [],
  choices: ['accuracyLevel', 'perChannel'],
  ...computesInF32('WGSL'),
  floatZeros: true,
  sharesTable: true,
  modelRefusal: answersOnly,
  emit: (program, options, onPass) => emit(program, options, { ...(onPass && { onPass }) }),
  clientFiles: ({ prepared, facts }) => filesWithReadme([prepared.preprocessor(), prepared.tokenizer()], facts, readme),
  packages: (device) => (pageProvider(device ?? '') ? [] : ['webgpu']),
  ready,
  open,
  describe,
  storedTensors,
  storedFields,
};
