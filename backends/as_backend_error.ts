import { BackendError, type BackendErrorCode, type BackendPlace } from './error.ts';
import { RuntimeError, type RuntimeErrorCode } from './client/errors.ts';

const CODES: { readonly [C in RuntimeErrorCode]?: BackendErrorCode } = {
  bad_input: 'bad-input',
  damaged: 'bundle-damaged',
  device_lost: 'device-lost',
  newer_version: 'bundle-damaged',
  no_webgpu: 'runtime-missing',
  not_found: 'bundle-missing',
};

/** A failure of the runtime as one of the backend; others as they are. */
export function asBackendError(error: unknown, place: BackendPlace = {}): unknown {
  if (!(error instanceof RuntimeError)) return error;
  return new BackendError(CODES[error.code] ?? 'runtime-failed', error.message, place, { cause: error });
}
