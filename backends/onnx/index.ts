import type { Backend } from '../backend.ts';
import { supportedDTypes } from './dtype.ts';
import { emit } from './emit.ts';
import { native } from './lower.ts';
import { open } from './run.ts';
import { devices } from './session.ts';
import { narrowingOf, supportsDtype } from './targets.ts';

/**
 * ONNX files that @huggingface/transformers 4 loads, for ONNX Runtime in Node, in the browser and on servers. What the
 * targets differ in is in targets.ts: no fused attention is native on both CPU and WebGPU and right for a prefix-LM, so the
 * portable one has attention as plain ops with an explicit mask, and every one a KV cache that grows by Concat.
 */
export const onnx: Backend = {
  name: 'onnx',
  dtypes: supportedDTypes,
  native,
  devices,
  supportsDtype,
  narrowingOf,
  emit: (program, options) => emit(program, options),
  open,
};
