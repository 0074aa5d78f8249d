import { dirname } from 'node:path';
import { BackendError } from '../error.ts';
import type { InferenceSession, Runtime } from './runtime.ts';

/** ONNX Runtime's execution providers that come with onnxruntime-node. */
export type Provider = 'cpu' | 'webgpu';

/** Log severity 4 is fatal: errors come back as exceptions, which say the same. */
const LOG_SEVERITY = 4;

export interface SessionChoice extends InferenceSession.SessionOptions {
  /** Whether kernels may keep copies of weights in a layout of their own; default true. */
  readonly prepack?: boolean;
}

/**
 * A session over a model file, or over `bytes` in its place with external data from the same folder.
 * @throws BackendError with the runtime's message.
 */
export async function createSession(
  runtime: Runtime,
  path: string,
  provider: Provider,
  bytes?: Uint8Array,
  { prepack = true, ...options }: SessionChoice = {},
): Promise<InferenceSession> {
  const entries = {
    ...(bytes && { model_external_initializers_file_folder_path: dirname(path) }),
    ...(!prepack && { disable_prepacking: '1' }),
  };
  const all: InferenceSession.SessionOptions = {
    executionProviders: [provider],
    logSeverityLevel: LOG_SEVERITY,
    ...(Object.keys(entries).length > 0 && { extra: { session: entries } }),
    ...options,
  };
  try {
    return await (bytes ? runtime.InferenceSession.create(bytes, all) : runtime.InferenceSession.create(path, all));
  } catch (cause) {
    const hint =
      provider === 'webgpu'
        ? 'check that this machine has a GPU that WebGPU can use, or open it on the device software or cpu'
        : 'check the bundle with `pgconv inspect`';
    throw new BackendError(
      'runtime-failed',
      `onnxruntime-node ${runtime.env.versions.node} ${provider} cannot load the model: ${messageOf(cause)}`,
      { file: path, hint },
      { cause },
    );
  }
}

/** The message of whatever was thrown. */
export function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
