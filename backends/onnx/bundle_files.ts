import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BackendError } from '../error.ts';
import { modelFileName, ONNX_FOLDER, precisions } from './file_names.ts';

/** The precision that a bundle's manifest states, if it has one. */
async function statedPrecision(dir: string): Promise<string | undefined> {
  const text = await readFile(join(dir, 'manifest.json'), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const manifest: unknown = JSON.parse(text);
    return manifest !== null && typeof manifest === 'object' && 'precision' in manifest && typeof manifest.precision === 'string' ? manifest.precision : undefined;
  } catch (cause) {
    throw new BackendError('bundle-damaged', 'the manifest is not JSON', { file: join(dir, 'manifest.json'), hint: 'convert again' }, { cause });
  }
}

/** Path of a graph's model file: of the manifest's precision, else the first that exists. @throws BackendError when there is none. */
export async function modelPath(dir: string, graph: string): Promise<string> {
  const stated = await statedPrecision(dir);
  for (const precision of stated === undefined ? precisions : [stated]) {
    const path = join(dir, ONNX_FOLDER, modelFileName(graph, precision));
    if (await isFile(path)) return path;
  }
  throw new BackendError('bundle-missing', `no ONNX file of graph "${graph}"${stated === undefined ? '' : ` in ${stated}`}`, { file: join(dir, ONNX_FOLDER), hint: 'name a folder that holds an ONNX bundle' });
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then((found) => found.isFile(), () => false);
}
