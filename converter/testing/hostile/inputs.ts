import { ADAPTER_INPUTS } from './adapter_inputs.ts';
import { BUNDLE_INPUTS } from './bundle_inputs.ts';
import { CASE_INPUTS } from './case_inputs.ts';
import { COMMAND_INPUTS } from './command_inputs.ts';
import type { HostileKind } from './entry.ts';
import { FOLDER_INPUTS } from './folder_inputs.ts';
import { NPZ_INPUTS } from './npz_inputs.ts';
import { SAFETENSORS_INPUTS } from './safetensors_inputs.ts';

/** Everything that docs/hostile-inputs.md lists, in its order. */
export const HOSTILE_INPUTS: readonly HostileKind[] = [
  { kind: 'safetensors', inputs: SAFETENSORS_INPUTS },
  { kind: 'index and config', inputs: FOLDER_INPUTS },
  { kind: 'npz', inputs: NPZ_INPUTS },
  { kind: 'adapters', inputs: ADAPTER_INPUTS },
  { kind: 'our own outputs', inputs: BUNDLE_INPUTS },
  { kind: 'what options name', inputs: COMMAND_INPUTS },
  { kind: 'expressions, names, times', inputs: CASE_INPUTS },
];
