import { withErrorScopes } from '../packed/error_scopes.ts';
import type { GraphModel, Tfjs } from './tfjs.ts';

interface WebgpuBackend {
  uploadToGPU(dataId: object): void;
}

/** Elements of a weight that is worth it: smaller ones are also read by the host, which looks at sizes and axes. */
const LEAST_ELEMENTS = 4096;

/**
 * Moves weights to the GPU, where tfjs would at their first use: the host's copies go part by part instead of all after
 * the first run, and memory that is not there is an error of loading. Nothing on other backends. @throws RuntimeError
 * `out_of_memory`
 */
export async function moveToDevice(tf: Tfjs, model: GraphModel): Promise<void> {
  if (tf.getBackend() !== 'webgpu') return;
  const backend = tf.backend() as unknown as WebgpuBackend;
  await withErrorScopes(tf, () => {
    for (const { size, dataId } of Object.values(model.weights).flat())
      if (size >= LEAST_ELEMENTS) backend.uploadToGPU(dataId);
  });
}
