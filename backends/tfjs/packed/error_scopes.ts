import { RuntimeError } from '../../client/errors.ts';
import type { Tfjs } from '../driver/tfjs.ts';

const KINDS = ['internal', 'out-of-memory', 'validation'] as const;

interface WebgpuBackend {
  readonly device: GPUDevice;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
}

/**
 * The result of `work`, after WebGPU has said that it took all of it. tfjs itself looks at no error: a shader that does
 * not compile, or a buffer that there is no room for, would leave zeros or garbage in results. On other backends just
 * the work.
 * @throws RuntimeError `bad_shader`, `out_of_memory`; what `work` throws
 */
export async function withErrorScopes<T>(tf: Tfjs, work: () => T): Promise<T> {
  if (tf.getBackend() !== 'webgpu') return work();
  const backend = tf.backend() as unknown as WebgpuBackend;
  const { device } = backend;
  for (const kind of KINDS) device.pushErrorScope(kind);
  const outcome = attempt(() => {
    const result = work();
    // commands wait in tfjs until somebody reads: errors of recording come when they are handed over
    backend.ensureCommandEncoderReady();
    backend.endComputePassEncoder();
    backend.submitQueue();
    return result;
  });
  // what is pushed must be popped, whatever happened
  const errors = await Promise.all(KINDS.map(() => device.popErrorScope()));
  if ('error' in outcome) throw outcome.error;
  const error = errors.find((found) => found !== null);
  if (!error) return outcome.result;
  const isMemory = typeof GPUOutOfMemoryError !== 'undefined' && error instanceof GPUOutOfMemoryError;
  throw new RuntimeError(
    isMemory ? 'out_of_memory' : 'bad_shader',
    `WebGPU refused a kernel of tfjs: ${error.message}`,
    isMemory ? 'free other models, or convert with a smaller dtype' : undefined,
  );
}

function attempt<T>(work: () => T): { readonly result: T } | { readonly error: unknown } {
  try {
    return { result: work() };
  } catch (error) {
    return { error };
  }
}
