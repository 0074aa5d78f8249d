import { byteLengthOf, type DType } from '../../ir/dtypes/index.ts';
import type { Program, ProgramMetadata } from '../../ir/graph.ts';
import { eliminateCommonSubexpressions, eliminateDeadCode, foldConstants, quantizeWeights, runPassesOnProgram, splitLargeWeights, type Pass } from '../../ir/passes/index.ts';
import { elementCount, readRange, type TensorData } from '../../ir/tensor.ts';
import { castData } from '../../ir/views/cast.ts';
import { HUGGING_FACE } from '../families/paligemma/behaviour.ts';
import type { PaliGemmaConfig } from '../families/paligemma/config.ts';
import { decoder } from '../families/paligemma/decoder.ts';
import { canonicalShapes } from '../families/paligemma/weights.ts';
import { imageTokens } from '../families/paligemma/config.ts';
import { MAX_WEIGHT_BYTES } from '../../backends/onnx/targets.ts';
import { randomTensor } from '../synth/random_tensor.ts';

export type BenchWeights = 'int4' | 'fp32';

/** Weights along a row that share a scale. */
const BLOCK = 32;
/** Spread of weights that keeps activations in the range of a trained model. */
const WEIGHT_STD = 0.02;

/**
 * The decoder of a published model alone, with seeded weights and `extra` passes at its end. Codes of int4 are random
 * themselves: how fast a product is does not depend on how they were chosen.
 */
export function decoderProgram(config: PaliGemmaConfig, weights: BenchWeights, extra: readonly Pass[] = []): Program {
  const shapes = [...canonicalShapes(config, config.tableRows)].filter(([name]) => name.startsWith('lm.'));
  const data = new Map(shapes.map(([name, shape], i) => [name, randomTensor('f32', shape, { mean: 0, std: name.includes('norm') ? 0.1 : WEIGHT_STD }, i)]));
  const graph = decoder(config, data, HUGGING_FACE);
  const stored = weights === 'fp32' ? [] : [quantizeWeights({ schemeOf: () => ({ bits: 4, block: BLOCK, symmetric: false, algorithm: 'rtn' }), quantize: randomCodes })];
  return runPassesOnProgram({ graphs: [graph], metadata: metadataOf(config) }, [foldConstants, ...stored, splitLargeWeights(MAX_WEIGHT_BYTES), ...extra, eliminateCommonSubexpressions, eliminateDeadCode]);
}

/** Facts of a program, of which only the sizes matter here. */
export function metadataOf(config: PaliGemmaConfig): ProgramMetadata {
  const { vision, text, vocabSize, imageTokenId, bosTokenId, eosTokenId, padTokenId } = config;
  return {
    family: 'paligemma',
    variant: 'bench',
    imageSize: vision.imageSize,
    imageTokens: imageTokens(vision),
    imageTokenId,
    vocabSize,
    layers: text.layers,
    kvHeads: text.kvHeads,
    headDim: text.headDim,
    hiddenSize: text.width,
    bosTokenId,
    eosTokenId,
    padTokenId,
    maxPositions: text.maxPositions,
  };
}

function randomCodes({ shape }: TensorData) {
  return blocksOfCodes(4, shape as readonly [number, number]);
}

/** A matrix [rows, columns] of random codes, with zero points in the middle. */
export function blocksOfCodes(bits: 4 | 8, [rows, columns]: readonly [number, number]): { readonly q: TensorData; readonly scales: TensorData; readonly zeros: TensorData } {
  const blocks = columns / BLOCK;
  const step = (2 * WEIGHT_STD) / 2 ** (bits - 1);
  const dtype = bits === 4 ? 'u4' : 'u8';
  return {
    q: randomBytes(dtype, [rows, blocks, BLOCK]),
    scales: castData(castData(randomTensor('f32', [rows, blocks], { mean: step, std: 0.1 * step }, rows), 'f16'), 'f32'),
    zeros: randomBytes(dtype, [rows, blocks], bits === 4 ? 0x88 : 0x80),
  };
}

/** Bytes of a generator (or all of one value), as elements of a narrow dtype. */
function randomBytes(dtype: DType, shape: readonly number[], value?: number): TensorData {
  const byteLength = byteLengthOf(dtype, elementCount(shape));
  return {
    dtype,
    shape,
    byteLength,
    async *chunks(options) {
      const { begin, end, maxBytes } = readRange(byteLength, options);
      for (let at = begin; at < end; at += maxBytes) {
        const bytes = new Uint8Array(Math.min(maxBytes, end - at));
        let state = at + 1;
        if (value === undefined) for (let i = 0; i < bytes.length; i++) bytes[i] = (state = Math.imul(state, 1664525) + 1013904223) >>> 24; // Numerical Recipes' generator
        else bytes.fill(value);
        yield bytes;
      }
    },
  };
}
