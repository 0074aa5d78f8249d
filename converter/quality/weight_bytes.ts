import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { StoredTensor } from '../../backends/description.ts';
import type { Program } from '../../ir/graph.ts';
import { elementCount, type TensorData } from '../../ir/tensor.ts';

/**
 * Bytes of weights, scales and zero points among what a bundle of a program stores; tables that were computed, such as
 * those of rotary embeddings, are none.
 */
export function weightBytes(program: Program, stored: readonly StoredTensor[]): number {
  const computed = weightsOf(program).flatMap(({ name, data }) => (data.from ? [] : [name]));
  const isComputed = (name: string) => computed.some((other) => name === other || name.startsWith(`${other}.`));
  return stored.reduce((sum, { name, bytes }) => sum + (isComputed(name) ? 0 : bytes), 0);
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
