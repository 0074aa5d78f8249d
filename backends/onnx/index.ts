import type { Backend } from '../backend.ts';
import { supportedDTypes } from './dtype.ts';
import { emit } from './emit.ts';
import { native } from './lower.ts';
import { open } from './run.ts';
import { devices } from './session.ts';

/**
 * ONNX files that @huggingface/transformers 4 loads, for ONNX Runtime in Node, in the browser and on servers. One portable
 * flavour for every provider: no fused attention is native on both CPU and WebGPU and right for a prefix-LM (see
 * lower/composites.ts), so attention is plain ops with an explicit mask, and the KV cache grows by Concat. Its cost: a prefill
 * holds all scores of a layer at once, [heads, S, S] in f32, about 540 MB at 896 px.
 */
export const onnx: Backend = {
  name: 'onnx',
  dtypes: supportedDTypes,
  native,
  devices,
  emit: (program, options) => emit(program, options),
  open,
};
