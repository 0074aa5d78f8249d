import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readOnnx } from '../../backends/onnx/read.ts';
import type { BackendName } from '../../backends/index.ts';
import { storedBytes } from '../../backends/tfjs/driver/bundle.ts';
import { readShaderBundle } from '../bundle/shader_bundle.ts';
import { readTfjsBundle } from '../bundle/tfjs_bundle.ts';
import type { Program } from '../../ir/graph.ts';
import { elementCount, type TensorData } from '../../ir/tensor.ts';

interface Stored {
  readonly name: string;
  readonly bytes: number;
}

/** Tensors that a format stores, those of several graphs that share their bytes once. */
const STORED: Readonly<Record<BackendName, (dir: string, paths: readonly string[]) => Promise<readonly Stored[]>>> = {
  async onnx(dir, paths) {
    const places = new Map<string, Stored>();
    for (const path of paths.filter((name) => name.endsWith('.onnx')))
      for (const { name, byteLength, external, dtype } of (await readOnnx(join(dir, path))).initializers)
        if (!SHAPE_DTYPES.has(dtype))
          places.set(external ? `${external.location} ${external.offset}` : `${path} ${name}`, {
            name,
            bytes: byteLength,
          });
    return [...places.values()];
  },
  async tfjs(dir) {
    const { parts, plan } = await readTfjsBundle(dir);
    const tables = plan.graphs.flatMap((graph) =>
      graph.tables.flatMap((table) => table.weights.flatMap(({ weights }) => weights)),
    );
    const weights = [...parts.values()].flatMap((part) => part.weights.map(({ spec }) => spec));
    return [...weights, ...tables]
      .filter(({ shape }) => shape.length > 0)
      .map((spec) => ({ name: spec.name, bytes: storedBytes(spec) }));
  },
  async wgsl(dir) {
    const { plan } = await readShaderBundle(dir);
    return plan.weights.map(({ name, byteLength }) => ({ name, bytes: byteLength }));
  },
};
/** What shapes, axes and masks are made of. */
const SHAPE_DTYPES = new Set(['i64', 'i32', 'bool']);

/**
 * Bytes of weights, scales and zero points in a bundle of a program; tables that were computed, such as those of rotary
 * embeddings, are none.
 */
export async function weightBytes(
  program: Program,
  { dir, paths, backend }: { readonly dir: string; readonly paths: readonly string[]; readonly backend: BackendName },
): Promise<number> {
  const computed = weightsOf(program).flatMap(({ name, data }) => (data.from ? [] : [name]));
  const isComputed = (name: string) => computed.some((other) => name === other || name.startsWith(`${other}.`));
  return (await STORED[backend](dir, paths)).reduce((sum, { name, bytes }) => sum + (isComputed(name) ? 0 : bytes), 0);
}

/** Bytes of all files of a folder. A bundle that was made elsewhere may have others than its manifest lists. */
export async function folderBytes(dir: string): Promise<number> {
  const files = (await readdir(dir, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const sizes = await Promise.all(files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Elements of a program's weights: of a table that several graphs read, in whole or in part, once. */
export function parameterCount(program: Program): number {
  const inGraphs = new Map<string, Map<string, number>>();
  for (const { graph, data } of weightsOf(program)) {
    if (!data.from) continue;
    const key = JSON.stringify([data.from.file, data.from.key, data.from.byteOffset]);
    const counts = inGraphs.get(key) ?? new Map<string, number>();
    counts.set(graph, (counts.get(graph) ?? 0) + elementCount(data.shape));
    inGraphs.set(key, counts);
  }
  return [...inGraphs.values()].reduce((sum, counts) => sum + Math.max(...counts.values()), 0);
}

function weightsOf({
  graphs,
}: Program): readonly { readonly graph: string; readonly name: string; readonly data: TensorData }[] {
  return graphs.flatMap(({ name: graph, constants }) =>
    constants.flatMap((c) => (c.kind === 'weight' ? [{ graph, name: c.value.name, data: c.data }] : [])),
  );
}
