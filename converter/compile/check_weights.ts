import type { Backend } from '../../backends/backend.ts';
import type { BundleFolder } from '../../backends/description.ts';
import type { Program } from '../../ir/graph.ts';
import { foldConstants, runPassesOnProgram } from '../../ir/passes/index.ts';
import type { Precision } from '../../verify/tolerances.ts';
import { verifyWeights, type VerifyWeightsOptions, type WeightsReport } from '../../verify/weights/verify_weights.ts';
import { narrowFloat } from '../precision/precision.ts';
import type { Reporter } from '../terminal/reporter.ts';
import { useKernels } from '../threads/kernels_module.ts';

/** Why a backend's bundles are not compared with their checkpoints element by element. */
export const NO_FIELDS = 'the backend does not say where weights lie in its bundles';

export interface CheckWeightsOptions {
  readonly backend: Backend;
  readonly bundle: BundleFolder;
  readonly precision: Precision;
  /** Whose weights the bundle must hold; of a precision with codes, the program of the codes. */
  readonly program: Program;
  /** Weights whose codes are of activations that are not at hand: `program` has floats in their place. */
  readonly codesUnknown?: VerifyWeightsOptions['codesUnknown'];
  readonly signal?: AbortSignal | undefined;
}

/**
 * Compares every stored weight with the checkpoint's, with progress. Undefined where the backend does not say where
 * they lie (NO_FIELDS). The report may say that it failed. @throws BackendError for a damaged bundle
 */
export async function checkWeights(
  { backend, bundle, precision, program, codesUnknown, signal }: CheckWeightsOptions,
  reporter: Reporter,
): Promise<WeightsReport | undefined> {
  const fields = await backend.storedFields?.(bundle);
  if (!fields) return undefined;
  await useKernels();
  let stage: ReturnType<Reporter['stage']> | undefined;
  let before = 0;
  const report = await verifyWeights({
    dir: bundle.dir,
    fields,
    program: runPassesOnProgram(program, [foldConstants]),
    narrow: narrowFloat(precision),
    ...(codesUnknown && { codesUnknown }),
    onProgress: (done, total) => {
      stage ??= reporter.stage('verify weights', { unit: 'bytes', total });
      stage.advance(done - before);
      before = done;
    },
    ...(signal && { signal }),
  });
  stage?.done();
  return report;
}
