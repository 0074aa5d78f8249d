import { load, type ImageFeatures, type Model, type Tfjs } from '../../../backends/tfjs/driver/index.ts';
import { tfjs } from '../../../backends/tfjs/index.ts';
import { usualTarget } from '../../../backends/usual_target.ts';
import { nodeTfjs, type TfDevice } from '../../../backends/tfjs/node_tfjs.ts';
import type { Program } from '../../../ir/graph.ts';
import type { Side } from '../gpu/side.ts';
import { writeFiles } from '../write_program.ts';

/** A program in tfjs, by pgconv/tfjs. Its files are written to `dir`. */
export async function openTfjsSide(
  name: string,
  program: Program,
  precision: string,
  dir: string,
  device: TfDevice,
): Promise<Side> {
  await writeFiles(tfjs.emit(program, { precision, target: usualTarget(tfjs, precision)! }).files, dir);
  const tf = await nodeTfjs(device);
  return tfjsSide(name, tf, await load(dir, { tf }));
}

/** A model that pgconv/tfjs has loaded. */
export function tfjsSide(name: string, tf: Tfjs, model: Model): Side {
  let features: ImageFeatures | undefined;
  return {
    name,
    does: `tfjs ${tf.version_core} ${tf.getBackend()}, profile ${model.profile}. encode: features stay in tfjs. prefill: rows of the embedding by the host, logits of the last token to the host. decode: the largest logit of each shard in tfjs, a few bytes a token to the host`,
    async encode(pixels) {
      features?.dispose();
      features = await model.encodePixels(pixels);
      // nothing may be at work when it is over
      await features.tensor.data();
    },
    async prefill(tokens) {
      await model.prefill({ rows: [tokens], images: features ? [features] : [], maxNewTokens: 64 });
      return (await model.logits()).data.subarray(0, model.facts.vocabSize);
    },
    async decode(steps) {
      const tokens: number[] = [];
      for await (const [token] of model.decode({ maxTokens: steps + 1, stopTokenIds: [] })) tokens.push(token!);
      return tokens;
    },
    async close() {
      features?.dispose();
      model.dispose();
    },
  };
}
