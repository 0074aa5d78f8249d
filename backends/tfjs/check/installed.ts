import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { KernelTable, TfBackend } from './kernel_table.ts';

const BACKENDS: readonly TfBackend[] = ['cpu', 'wasm', 'webgl', 'webgpu'];

/**
 * What the tfjs packages that are installed have: op names of the converter's op lists, kernels that backends register
 * when they are imported.
 */
export async function installedKernels(): Promise<KernelTable> {
  const require = createRequire(import.meta.url);
  const folder = join(dirname(require.resolve('@tensorflow/tfjs-converter/package.json')), 'dist/operations/op_list');
  const lists = (await readdir(folder)).filter((file) => file.endsWith('.js'));
  const texts = await Promise.all(lists.map((file) => readFile(join(folder, file), 'utf8')));
  const ops = texts.flatMap((text) =>
    [...text.matchAll(/['"]?tfOpName['"]?:\s*['"](\w+)['"]/g)].map(([, name]) => name!),
  );
  const tf = await import('@tensorflow/tfjs-core');
  await Promise.all([
    import('@tensorflow/tfjs-backend-cpu'),
    import('@tensorflow/tfjs-backend-wasm'),
    import('@tensorflow/tfjs-backend-webgl'),
    import('@tensorflow/tfjs-backend-webgpu'),
  ]);
  const kernels = Object.fromEntries(
    BACKENDS.map((backend) => [
      backend,
      tf
        .getKernelsForBackend(backend)
        .map(({ kernelName }) => kernelName)
        .sort(),
    ]),
  ) as unknown as KernelTable['kernels'];
  return { version: tf.version_core, ops: [...new Set(ops)].sort(), kernels };
}
