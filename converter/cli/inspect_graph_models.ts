import { plannedMemory } from '../../backends/tfjs/driver/planned_memory.ts';
import type { Manifest } from '../bundle/manifest.ts';
import { bytesText } from '../terminal/units.ts';
import { readTfjsBundle } from '../bundle/tfjs_bundle.ts';
import { json, type Io } from './io.ts';
import { table } from '../terminal/table.ts';

/**
 * Shows the graph models of a tfjs bundle, its files and what loading it takes; with `tensors` every weight.
 * @throws BadInputError for a damaged plan
 */
export async function showGraphModels(
  io: Io,
  { dir, manifest, line }: { readonly dir: string; readonly manifest: Manifest; readonly line: string },
  { tensors = false, json: asJson = false }: { readonly tensors?: boolean; readonly json?: boolean },
): Promise<void> {
  const { plan, parts } = await readTfjsBundle(dir);
  const memory = plannedMemory({ parts });
  const weights = [...parts.values()].flatMap((part) =>
    part.weights.map(({ spec, file, offset, byteLength }) => ({
      name: spec.name,
      shape: spec.shape,
      dtype: spec.quantization?.dtype ?? spec.dtype,
      file,
      offset,
      bytes: byteLength,
    })),
  );
  if (asJson) return io.out(json({ kind: 'bundle', path: dir, manifest, plan, memory, weights }));
  io.out(line);
  io.out(`profile ${plan.profile}`);
  const opsOf = (folder: string) =>
    parts.get(folder)!.json.modelTopology.node.filter(({ op }) => op !== 'Const' && op !== 'Placeholder').length;
  io.out(
    table(
      ['graph model', 'graph', 'nodes', 'weights', 'stored', 'in tfjs', 'largest tensor'],
      plan.graphs.flatMap((graph) =>
        graph.parts.map(({ folder }) => {
          const { stored, loaded, largest } = memory.parts.find((part) => part.folder === folder)!;
          return [
            folder,
            graph.name,
            opsOf(folder),
            parts.get(folder)!.weights.length,
            bytesText(stored),
            bytesText(loaded),
            bytesText(largest),
          ];
        }),
      ),
      [2, 3, 4, 5, 6],
    ),
  );
  for (const { name, tables } of plan.graphs)
    for (const { ids, rows, columns, runs } of tables)
      io.out(
        `${name}: the host looks ${ids} up in ${rows} rows of ${columns}, ${runs.some(({ folder }) => folder !== undefined) ? `those of ${[...new Set(runs.map(({ folder }) => folder))].join(', ')}` : 'in files of their own'}`,
      );
  io.out(
    table(
      ['file', 'bytes'],
      plan.files.map(({ path, bytes }) => [path, bytes]),
      [1],
    ),
  );
  io.out(`loading: ${bytesText(memory.loaded)} in tfjs in the end, ${bytesText(memory.peak)} at most on the way`);
  if (tensors)
    io.out(
      table(
        ['weight', 'shape', 'stored as', 'file', 'offset', 'bytes'],
        weights.map((w) => [w.name, `[${w.shape.join(', ')}]`, w.dtype, w.file, w.offset, w.bytes]),
        [4, 5],
      ),
    );
}
