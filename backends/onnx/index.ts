import { formats, isFormatName } from '../../ir/formats/index.ts';
import type { Backend, EmitOptions, Refusal } from '../backend.ts';
import { BackendError } from '../error.ts';
import { clientFiles } from './client/files.ts';
import { DEVICES, packagesOf, ready } from './devices.ts';
import { describe, describeFile, EXTENSION, storedTensors } from './describe.ts';
import { emit } from './emit.ts';
import { evaluatorKernels } from './evaluator_kernels.ts';
import { foreign } from './foreign/index.ts';
import { open } from './run.ts';
import { storedFields } from './stored_fields.ts';
import { isTarget, TARGETS, type OnnxOptions } from './target.ts';
import { MAX_WEIGHT_BYTES, targets } from './targets.ts';

const NO_CODEBOOK: Refusal = { reason: 'ONNX has no op for codes of a codebook', instead: 'int4' };

/**
 * ONNX files that @huggingface/transformers 4 loads, for ONNX Runtime in Node, in the browser and on servers. What the
 * targets differ in is in targets.ts: no fused attention is native on both CPU and WebGPU and right for a prefix-LM, so
 * the portable one has attention as plain ops with an explicit mask, and every one a KV cache that grows by Concat.
 */
export const onnx: Backend = {
  name: 'onnx',
  devices: DEVICES,
  targets: TARGETS,
  choices: ['quantizedOps', 'accuracyLevel', 'perChannel'],
  refusal: (precision) => (isFormatName(precision) && formats[precision].codebook ? NO_CODEBOOK : undefined),
  maxWeightBytes: MAX_WEIGHT_BYTES,
  floatZeros: false,
  sharesTable: false,
  narrowing(dtype, target) {
    const traits = targets[targetOf({ target })];
    const narrowing = traits[dtype];
    if (typeof narrowing === 'string') return narrowing;
    const others = TARGETS.filter((name) => typeof targets[name][dtype] === 'string');
    return { reason: narrowing.refused, instead: `the target ${others.join(' or ')}, or fp16 or fp32` };
  },
  emit: (program, options, onPass) => emit(program, onnxOptions(options), { ...(onPass && { onPass }) }),
  clientFiles,
  packages: (device = DEVICES[0]) => packagesOf(device),
  ready,
  open,
  describe,
  storedTensors,
  storedFields,
  evaluatorKernels: () => evaluatorKernels(),
  file: { extension: EXTENSION, describe: describeFile },
  foreign,
};

function onnxOptions({ target, ...options }: EmitOptions): OnnxOptions {
  return { ...options, target: targetOf({ target }) };
}

function targetOf({ target = TARGETS[0] }: { readonly target?: string | undefined }) {
  if (isTarget(target)) return target;
  throw new BackendError('unsupported', `ONNX has no target "${target}"`, {
    hint: `choose one of ${TARGETS.join(', ')}`,
  });
}
