import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BackendError } from '../error.ts';
import { readRegularText } from '../regular_file.js';
import { modelFileName, precisions } from './file_names.ts';
import { TARGETS, type Target } from './target.ts';
import { targets } from './targets.ts';

/** Larger than any that is written here. */
const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;

/** What a bundle's manifest states of its graphs, if there is one. */
interface Stated {
  readonly precision?: string;
  readonly target?: Target;
}

async function statedBy(dir: string): Promise<Stated> {
  const text = await readRegularText(join(dir, 'manifest.json'), MAX_MANIFEST_BYTES).catch(() => undefined);
  if (text === undefined) return {};
  let manifest: unknown;
  try {
    manifest = JSON.parse(text);
  } catch (cause) {
    throw new BackendError(
      'bundle-damaged',
      'the manifest is not JSON',
      { file: join(dir, 'manifest.json'), hint: 'convert again' },
      { cause },
    );
  }
  if (manifest === null || typeof manifest !== 'object') return {};
  const { precision, options } = manifest as { readonly precision?: unknown; readonly options?: unknown };
  const named = (options as { readonly target?: unknown } | null | undefined)?.target;
  const target = TARGETS.find((known) => known === named);
  return { ...(typeof precision === 'string' && { precision }), ...(target && { target }) };
}

/** As `modelPaths`, of one graph. */
export async function modelPath(dir: string, graph: string): Promise<string> {
  return (await modelPaths(dir))(graph);
}

/**
 * Where the model files of a bundle's graphs are: of the manifest's precision and target, else the first that exist.
 * The manifest is read once. @throws BackendError when it is damaged; for a graph that has no file
 */
export async function modelPaths(dir: string): Promise<(graph: string) => Promise<string>> {
  const stated = await statedBy(dir);
  return (graph) => pathOf(dir, graph, stated);
}

async function pathOf(dir: string, graph: string, { precision: stated, target }: Stated): Promise<string> {
  const folders =
    target === undefined ? [...new Set(TARGETS.map((name) => targets[name].folder))] : [targets[target].folder];
  for (const folder of folders) {
    for (const precision of stated === undefined ? precisions : [stated]) {
      const path = join(dir, folder, modelFileName(graph, precision));
      if (await isFile(path)) return path;
    }
  }
  throw new BackendError(
    'bundle-missing',
    `no ONNX file of graph "${graph}"${stated === undefined ? '' : ` in ${stated}`}`,
    { file: join(dir, folders[0]!), hint: 'name a folder that holds an ONNX bundle' },
  );
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}
