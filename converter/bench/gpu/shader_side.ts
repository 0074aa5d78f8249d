import type { ImageFeatures } from '../../../backends/wgsl/runtime/image_features.ts';
import type { ShaderModel } from './shader_model.ts';
import type { Side } from './side.ts';

/** Steps that are encoded before the host looks at their tokens: the runtime's default. */
const AHEAD = 8;

/** The bundle of shaders in pgconv/runtime. */
export function shaderSide(name: string, { model, executor, device }: ShaderModel, maxSteps: number): Side {
  const { vocabSize } = model.facts;
  let features: ImageFeatures | undefined;
  return {
    name,
    does: `encode: features stay on the GPU. prefill: embedding, decoder, logits of the last token to the host. decode: tokens chosen on the GPU, ${AHEAD} steps a submit, 4 bytes a token to the host`,
    async encode(pixels) {
      features?.destroy();
      features = await model.encodePixels(pixels);
      await device.queue.onSubmittedWorkDone();
    },
    async prefill(tokens) {
      await model.prefill({ rows: [tokens], images: features ? [features] : [], maxNewTokens: maxSteps + 1 });
      return (await executor.read('logits')).data.subarray(0, vocabSize);
    },
    async decode(steps) {
      const tokens: number[] = [];
      for await (const [token] of model.decode({ maxTokens: steps + 1, ahead: AHEAD, stopTokenIds: [] }))
        tokens.push(token!);
      return tokens;
    },
    async close() {
      executor.dispose();
      device.destroy();
    },
  };
}
