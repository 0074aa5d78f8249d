import { FORMAT_NAMES, formats, isFormatName } from '../../ir/formats/index.ts';
import { answersOnly } from '../answers_only.ts';
import type { Backend, Refusal } from '../backend.ts';
import { filesWithReadme } from '../client_files.ts';
import { computesInF32 } from '../computes_in_f32.ts';
import { describe, storedTensors } from './describe.ts';
import { storedFields } from './stored_fields.ts';
import { emit } from './emit.ts';
import { DEVICES, packagesOf, ready } from './devices.ts';
import { readme } from './readme.ts';
import { open } from './run.ts';
import { profileOf, PROFILES, type Profile } from './target.ts';

const { refusal, narrowing } = computesInF32('tfjs');
const NO_CODES: Refusal = { reason: 'it holds codes', instead: `${FORMAT_NAMES.join(', ')}, or the profile std` };
const NO_FOURS: Refusal = {
  reason: 'the loader of tfjs reads no 4-bit weights',
  instead: 'the profile packed, or int8',
};

/** Whether weights are codes that only the packed op reads. */
function isPackedOnly(precision: string): boolean {
  return isFormatName(precision) && formats[precision].bits === 4;
}

/** tfjs's own loader expands everything to f32, and reads 8 bits at least. */
function refusedBy(profile: Profile, precision: string): Refusal | undefined {
  if (profile === 'std') return isPackedOnly(precision) ? NO_FOURS : undefined;
  return isFormatName(precision) ? undefined : NO_CODES;
}

/**
 * Graph models for TensorFlow.js, which its own loader reads, and what `pgconv/tfjs` needs to drive them. Everything is
 * computed in f32; a precision is how weights are stored, and in the profile `packed` also how they lie on the device.
 */
export const tfjs: Backend = {
  name: 'tfjs',
  devices: DEVICES,
  targets: PROFILES,
  choices: ['layersPerGraph'],
  refusal: (precision, target) => refusal(precision) ?? refusedBy(profileOf(target), precision),
  defaultTarget: (precision) => (isPackedOnly(precision) ? 'packed' : 'std'),
  codes: (target) => (profileOf(target) === 'std' ? { blocks: { int8: 0 } } : { blocks: { int4: 64 }, mixed: 'none' }),
  floatZeros: false,
  sharesTable: true,
  narrowing,
  modelRefusal: answersOnly,
  emit: (program, { precision, target, layersPerGraph }, onPass) =>
    emit(
      program,
      { precision, profile: profileOf(target), ...(layersPerGraph !== undefined && { layersPerGraph }) },
      onPass,
    ),
  clientFiles: ({ prepared, facts }) => filesWithReadme([prepared.preprocessor(), prepared.tokenizer()], facts, readme),
  packages: (device = DEVICES[0]) => packagesOf(device),
  ready,
  open,
  describe,
  storedTensors,
  storedFields,
};
