import { rm } from 'node:fs/promises';
import { openSource } from '../../../backends/client/sources/open_source.ts';
import { Engine } from '../../../backends/tfjs/driver/engine.ts';
import { plannedMemory } from '../../../backends/tfjs/driver/planned_memory.ts';
import { tfjs } from '../../../backends/tfjs/index.ts';
import { usualTarget } from '../../../backends/usual_target.ts';
import { nodeTfjs, type TfDevice } from '../../../backends/tfjs/node_tfjs.ts';
import { PLAN_PATH } from '../../../backends/tfjs/plan.ts';
import { graphNamed, type Program } from '../../../ir/graph.ts';
import { bytesText } from '../../../backends/bytes_text.ts';
import { writeFiles } from '../write_program.ts';

/**
 * An image tower in tfjs: how long it takes to load and to run once, and how much memory the process has had at most.
 */
export async function measureTower(
  program: Program,
  precision: string,
  dir: string,
  device: TfDevice,
): Promise<string> {
  const { metadata } = program;
  try {
    await writeFiles(
      tfjs.emit(
        { graphs: [graphNamed(program, 'vision_encoder')], metadata },
        { precision, target: usualTarget(tfjs, precision)! },
      ).files,
      dir,
    );
    const tf = await nodeTfjs(device);
    const before = process.memoryUsage.rss();
    const started = performance.now();
    const engine = await Engine.load(tf, openSource(dir, PLAN_PATH));
    const loaded = performance.now() - started;
    const { stored, loaded: planned, peak } = plannedMemory(engine.bundle);
    const most = process.resourceUsage().maxRSS * 1024 - before;
    const { imageSize } = metadata;
    const pixels = tf.tensor(
      Float32Array.from({ length: 3 * imageSize ** 2 }, (_, i) => Math.sin(i / 50)),
      [1, 3, imageSize, imageSize],
      'float32',
    );
    const begun = performance.now();
    const { image_features: features } = await engine.run(engine.graph('vision_encoder')!, { pixel_values: pixels }, [
      'image_features',
    ]);
    const values = await features!.data<'float32'>();
    const ran = performance.now() - begun;
    if (!values.every(Number.isFinite)) throw new Error('features are not finite');
    engine.dispose();
    return `${metadata.variant}, image tower, ${precision}, tfjs ${tf.version_core} ${device}: ${bytesText(stored)} stored, ${bytesText(planned)} in tfjs, ${bytesText(peak)} planned at most; the process grew by ${bytesText(most)} at most while it loaded in ${(loaded / 1000).toFixed(1)} s; one picture in ${(ran / 1000).toFixed(1)} s; ${values.length} features, all finite`;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}
