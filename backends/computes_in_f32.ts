import type { Backend, Refusal } from './backend.ts';

const NO_HALF_ACTIVATIONS: Refusal = { reason: 'activations are f32 on every device', instead: 'int4' };

/** What a backend refuses that computes everything in f32, and has f16 as a way to store weights. */
export function computesInF32(name: string): Pick<Backend, 'refusal' | 'narrowing'> {
  const noBf16: Refusal = { reason: `${name} has no bf16`, instead: 'fp16 or fp32' };
  return {
    refusal: (precision) => ({ bf16: noBf16, q4f16: NO_HALF_ACTIVATIONS })[precision],
    narrowing: (dtype) => (dtype === 'f16' ? 'store' : noBf16),
  };
}
