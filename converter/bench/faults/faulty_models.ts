import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findBackend } from '../../../backends/find_backend.ts';
import type { Program } from '../../../ir/graph.ts';
import type { Precision } from '../../../verify/tolerances.ts';
import { MANIFEST_NAME, readManifest } from '../../bundle/manifest.ts';
import { openModel } from '../../models/open_model.ts';
import { programIn } from '../gpu/programs.ts';
import { planted, type GraphFault } from './graph_faults.ts';
import { placesIn } from './places.ts';
import { resealed } from './weights_alone.ts';

/** A file of a bundle that holds a graph, and no weight of more than a kilobyte. */
const MODEL = /\.onnx$/;

/**
 * Plants a fault in the graphs of a bundle, whose weights stay where they are; what comes back undoes it.
 * @throws Error when the fault moves a weight, or when the bundle without it is not what is emitted here
 */
export async function withFaultyGraphs(dir: string, fault: GraphFault): Promise<() => Promise<void>> {
  const manifest = await readManifest(dir);
  const { checkpoint, reference, finalSoftcap, slidingWindow, target } = manifest.options;
  const source = await openModel({ checkpoint: checkpoint[0]!, adapters: [], reference, finalSoftcap, slidingWindow });
  try {
    const precision = manifest.precision as Precision;
    const backend = await findBackend(manifest.backend);
    const modelsOf = async (program: Program) => {
      const options = target === undefined ? {} : { target };
      const { files } = backend.emit(await programIn(program, precision, backend, options), { precision, ...options });
      const models = new Map<string, Buffer>();
      for (const { path, chunks } of files) {
        if (!MODEL.test(path)) continue;
        const parts: Buffer[] = [];
        // a chunk's bytes are the writer's again once the next one is asked for
        for await (const { bytes } of chunks()) parts.push(Buffer.from(bytes));
        models.set(path, Buffer.concat(parts));
      }
      return models;
    };
    const { program } = source.model;
    const sound = await modelsOf(program);
    for (const [path, bytes] of sound)
      if (!bytes.equals(await readFile(join(dir, path)))) throw new Error(`${path} is not what is emitted here`);
    const faulty = await modelsOf(planted(program, fault));
    const changed = [...faulty].filter(([path, bytes]) => !bytes.equals(sound.get(path)!));
    if (changed.length === 0) throw new Error(`no file shows "${fault.name}"`);
    const before = { places: await placesIn(dir), manifest: await readFile(join(dir, MANIFEST_NAME)) };
    const undo = async () => {
      for (const [path] of changed) writeFileSync(join(dir, path), sound.get(path)!);
      writeFileSync(join(dir, MANIFEST_NAME), before.manifest);
    };
    for (const [path, bytes] of changed) writeFileSync(join(dir, path), bytes);
    await resealed(
      dir,
      changed.map(([path]) => path),
    );
    if (JSON.stringify(await placesIn(dir)) !== JSON.stringify(before.places)) {
      await undo();
      throw new Error(`"${fault.name}" moves weights`);
    }
    return undo;
  } finally {
    await source.close();
  }
}
