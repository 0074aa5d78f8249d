import type { BackendName } from '../../backends/index.ts';
import type { Help, Precision } from '../../verify/tolerances.ts';

/** One bundle to measure. */
export interface Variant {
  /** For people: `int4`, or `onnx int4` where there are several backends. */
  readonly label: string;
  readonly backend: BackendName;
  readonly precision: Precision;
  /** What its codes are chosen by: decides which targets it has. */
  readonly help: Help;
}

/** Every dtype in every backend. */
export function variantsOf(precisions: readonly Precision[], backends: readonly BackendName[]): readonly Variant[] {
  return [...new Set(backends)].flatMap((backend, _, all) => [...new Set(precisions)].map((precision) => ({ label: all.length > 1 ? `${backend} ${precision}` : precision, backend, precision, help: 'none' as const })));
}
