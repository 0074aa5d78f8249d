import { graphNamed, type Program } from '../ir/graph.ts';
import { multiplications } from '../ir/multiplications.ts';
import { hasImages, type VerifyCase } from './cases.ts';
import type { Costs } from './forecast.ts';

/** Multiplications of one side of a case: its pictures, the prompt, what is read behind it. No weight is read. */
export function costOf(program: Program, verifyCase: VerifyCase): number {
  return Object.values(costsOf(program, verifyCase)).reduce((sum, cost) => sum + cost, 0);
}

/** The same by graph. */
export function costsOf(program: Program, verifyCase: VerifyCase): Costs {
  const { inputIds, pixelValues, suffixIds, maxNewTokens, logitsToKeep } = verifyCase;
  const [batch, length] = inputIds.shape as readonly [number, number];
  const decoder = (seq: number, past: number, kept: number) =>
    multiplications(graphNamed(program, 'decoder'), shapesOf(program, batch, seq, past), kept);
  const visionEncoder = hasImages(verifyCase)
    ? multiplications(graphNamed(program, 'vision_encoder'), { pixel_values: pixelValues.shape })
    : 0;
  const suffix = suffixIds?.shape[1] ?? 0;
  const steps = Math.max(0, maxNewTokens - 1);
  return {
    vision_encoder: visionEncoder,
    decoder:
      decoder(length, 0, logitsToKeep || length) +
      (suffix > 0 ? decoder(suffix, length, suffix) : 0) +
      steps * decoder(1, length, 1),
  };
}

/** Shapes of the decoder's inputs that state its sizes. */
function shapesOf({ metadata }: Program, batch: number, seq: number, past: number) {
  const { layers, kvHeads, headDim, hiddenSize } = metadata;
  const caches = Array.from({ length: layers }, (_, layer) => [
    `past_key_values.${layer}.key`,
    [batch, kvHeads, past, headDim],
  ]);
  return { inputs_embeds: [batch, seq, hiddenSize], ...(Object.fromEntries(caches) as Record<string, number[]>) };
}
