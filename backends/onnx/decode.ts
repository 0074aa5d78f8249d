import { BackendError } from '../error.ts';
import { NotRegular, readRegular } from '../regular_file.js';
import { decodeModel, type DecodedModel } from './decode_model.ts';

/** Model files are read whole: with external data they hold no more than a few megabytes. */
export const MAX_MODEL_BYTES = 64 * 1024 * 1024;

/**
 * Bytes and message of a model file, which need not be ours.
 * @throws BackendError when it is absent, too large or no ONNX.
 */
export async function readModelFile(
  path: string,
): Promise<{ readonly bytes: Uint8Array; readonly model: DecodedModel }> {
  const bytes = await readWhole(path);
  return { bytes, model: decodeModel(bytes, path) };
}

async function readWhole(path: string): Promise<Uint8Array> {
  return readRegular(path, MAX_MODEL_BYTES).catch((cause: NodeJS.ErrnoException) => {
    if (cause instanceof NotRegular)
      throw new BackendError('bundle-damaged', `the model is not a regular file but ${cause.kind}`, {
        file: path,
        hint: 'name a file',
      });
    if (cause instanceof RangeError)
      throw new BackendError('bundle-damaged', `the model is ${cause.message}`, {
        file: path,
        hint: 'store its weights as external data',
      });
    throw new BackendError(
      'bundle-missing',
      `cannot open the model: ${cause.code ?? cause.message}`,
      { file: path, hint: 'name a bundle that pgconv wrote' },
      { cause },
    );
  });
}
