import type * as Ort from 'onnxruntime-node';
import { BackendError } from '../error.ts';

export type Runtime = typeof Ort;
export type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';

/**
 * onnxruntime-node, an optional dependency of about 290 MB: loaded when a bundle is run, with its telemetry off.
 * @throws BackendError when it is absent.
 */
export async function loadRuntime(): Promise<Runtime> {
  // onnxruntime 1.29 and later run a recursive regular expression over the command line for telemetry when the first
  // session is made, and a long one crashes the process; nothing here is anybody's to count
  process.env['ORT_DISABLE_TELEMETRY'] ??= '1';
  try {
    const module = (await import('onnxruntime-node')) as Runtime & { readonly default?: Runtime };
    return module.default ?? module; // a CommonJS package
  } catch (cause) {
    const absent = (cause as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND';
    const message = absent
      ? 'onnxruntime-node is not installed'
      : `onnxruntime-node does not load: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new BackendError('runtime-missing', message, { hint: 'npm install onnxruntime-node' }, { cause });
  }
}
