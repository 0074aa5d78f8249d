import type { Program } from '../../ir/graph.ts';
import {
  eliminateCommonSubexpressions,
  eliminateDeadCode,
  foldConstants,
  quantizeWeights,
  runPassesOnProgram,
  splitLargeWeights,
  type Pass,
} from '../../ir/passes/index.ts';
import { INT4 } from '../../ir/quantize/scheme.ts';
import { metadataOf } from '../models/paligemma.ts';
import { HUGGING_FACE } from '../models/paligemma/behaviour.ts';
import type { PaliGemmaConfig } from '../models/paligemma/config.ts';
import { decoder } from '../models/paligemma/decoder.ts';
import { canonicalShapes } from '../models/paligemma/weights.ts';
import { MAX_WEIGHT_BYTES } from '../../backends/onnx/targets.ts';
import { randomTensor } from '../synth/random_tensor.ts';
import { randomCodes } from './random_codes.ts';

export type BenchWeights = 'int4' | 'fp32';

/** Spread of weights that keeps activations in the range of a trained model. */
const WEIGHT_STD = 0.02;

/**
 * The decoder of a published model alone, with seeded weights and `extra` passes at its end. Codes of int4 are random
 * themselves: how fast a product is does not depend on how they were chosen.
 */
export function decoderProgram(config: PaliGemmaConfig, weights: BenchWeights, extra: readonly Pass[] = []): Program {
  const shapes = [...canonicalShapes(config, config.tableRows)].filter(([name]) => name.startsWith('lm.'));
  const data = new Map(
    shapes.map(([name, shape], i) => [
      name,
      randomTensor('f32', shape, { mean: 0, std: name.includes('norm') ? 0.1 : WEIGHT_STD }, i),
    ]),
  );
  const graph = decoder(config, data, HUGGING_FACE);
  const stored = weights === 'fp32' ? [] : [quantizeWeights({ schemeOf: () => INT4, quantize: randomCodes })];
  return runPassesOnProgram({ graphs: [graph], metadata: metadataOf(config) }, [
    foldConstants,
    ...stored,
    splitLargeWeights(MAX_WEIGHT_BYTES),
    ...extra,
    eliminateCommonSubexpressions,
    eliminateDeadCode,
  ]);
}
