import { readdir, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { bytesText } from '../bytes_text.ts';
import type { PageClient } from '../browser/page_client.ts';
import type { PageProvider } from '../devices.ts';
import { BackendError } from '../error.ts';
import { modelPaths } from './bundle_files.ts';
import { graphsOf } from './file_names.ts';
import type { PreparedGraph } from './page_graphs.ts';

/** What WebAssembly of 32 bits can address: the heap of onnxruntime-web, weights of the wasm provider included. */
const ADDRESSED_BYTES = 4 * 2 ** 30;

/** onnxruntime-web in a page. */
export const client: PageClient = {
  module: 'onnx/page.js',
  imports: {
    '@bufbuild/protobuf': '@bufbuild/protobuf/dist/esm/index.js',
    '@bufbuild/protobuf/codegenv2': '@bufbuild/protobuf/dist/esm/codegenv2/index.js',
    '@bufbuild/protobuf/wire': '@bufbuild/protobuf/dist/esm/wire/index.js',
  },
  packages: ['onnxruntime-web'],
  async prepare(dir, provider) {
    const graphs = await preparedGraphs(dir);
    await checkSize(dir, graphs, provider);
    return graphs;
  },
};

/** Where the graphs of a bundle lie in it, by name. */
async function preparedGraphs(dir: string): Promise<Record<string, PreparedGraph>> {
  const paths = await modelPaths(dir);
  const names = (await readdir(dir, { recursive: true })).map((path) => path.split(/[\\/]/).at(-1)!);
  const prepared: Record<string, PreparedGraph> = {};
  for (const graph of new Set(names.flatMap(graphsOf))) {
    const path = await paths(graph).catch(() => undefined);
    if (path === undefined) continue;
    const beside = await readdir(dirname(path));
    const model = relative(dir, path).replaceAll('\\', '/');
    const file = model.split('/').at(-1)!;
    prepared[graph] = { model, data: beside.filter((name) => name.startsWith(`${file}_data`)) };
  }
  return prepared;
}

/**
 * The wasm provider has the weights of all graphs in its heap; the webgpu provider hands those of external data to the
 * GPU, a file at a time. @throws BackendError `unsupported` for what 32 bits do not address
 */
async function checkSize(
  dir: string,
  graphs: Readonly<Record<string, PreparedGraph>>,
  provider: PageProvider,
): Promise<void> {
  const sizes = await Promise.all(
    Object.values(graphs).flatMap(({ model, data }) =>
      [model, ...data.map((name) => join(dirname(model), name))].map(
        async (path) => [path, (await stat(join(dir, path))).size] as const,
      ),
    ),
  );
  const all = sizes.reduce((sum, [, size]) => sum + size, 0);
  if (provider === 'wasm' && all > ADDRESSED_BYTES)
    throw tooLarge(dir, `the bundle has ${bytesText(all)}`, 'device browser, whose weights are on the GPU');
  const [path, most] = sizes.reduce((a, b) => (b[1] > a[1] ? b : a), ['', 0] as const);
  if (most > ADDRESSED_BYTES)
    throw tooLarge(join(dir, path), `the file has ${bytesText(most)}`, 'device cpu or webgpu');
}

function tooLarge(file: string, what: string, instead: string): BackendError {
  return new BackendError('unsupported', `${what}, and onnxruntime-web in a page addresses 4 GiB`, {
    file,
    hint: `convert to a smaller dtype, or use the ${instead}`,
  });
}
