import type { Program } from '../../ir/graph.ts';
import type { TensorData } from '../../ir/tensor.ts';
import { isFloat } from '../../ir/dtypes/index.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { BadInputError } from '../errors.ts';
import type { Family, Model } from './family.ts';
import { canonicalFromBigVision, unwrapParams } from './paligemma/big_vision.ts';
import { imageTokens, variantName, type PaliGemmaConfig } from './paligemma/config.ts';
import { decoder } from './paligemma/decoder.ts';
import { embedTokens } from './paligemma/embed_tokens.ts';
import { huggingFaceName, normalizeTensors } from './paligemma/hugging_face.ts';
import { inferFromBigVision, inferFromHuggingFace } from './paligemma/infer.ts';
import { visionEncoder } from './paligemma/vision_encoder.ts';
import { canonicalShapes, checkWeights, type CanonicalWeights } from './paligemma/weights.ts';

/** PaliGemma 1: SigLIP, a linear projector and Gemma 1 (arXiv:2407.07726). */
export const paligemma: Family = {
  name: 'paligemma',
  matches({ format, tensors }) {
    const names = format === 'big_vision' ? unwrapParams(tensors) : normalizeTensors(tensors);
    return format === 'big_vision' ? names.has('llm/embedder/input_embedding') && names.has('img/embedding/kernel') : names.has('multi_modal_projector.linear.weight');
  },
  load(checkpoint) {
    const { config, weights, inferences, warnings } = readCheckpoint(checkpoint);
    return { family: 'paligemma', program: buildProgram(config, weights), inferences, warnings };
  },
};

/** A checkpoint of either layout as sizes and canonical weights. @throws BadInputError naming what is missing or does not fit. */
export function readCheckpoint(checkpoint: Checkpoint): { config: PaliGemmaConfig; weights: CanonicalWeights } & Pick<Model, 'inferences' | 'warnings'> {
  const { format, path } = checkpoint;
  const bigVision = format === 'big_vision';
  const tensors = bigVision ? unwrapParams(checkpoint.tensors) : normalizeTensors(checkpoint.tensors);
  refuseGemma2(tensors, checkpoint);
  const { config, inferences } = bigVision ? inferFromBigVision(tensors, path) : inferFromHuggingFace(tensors, checkpoint);
  const weights = bigVision ? canonicalFromBigVision(tensors, config) : canonicalFromHuggingFace(tensors, config);
  checkWeights(weights, config, bigVision ? (name) => name : huggingFaceName);
  for (const data of weights.values())
    if (!isFloat(data.dtype))
      throw new BadInputError('unsupported_dtype', `"${data.from?.key}" is ${data.dtype}: weights must be f32, f16 or bf16`, {
        tensor: data.from?.key ?? '?',
        ...(data.from && { file: data.from.file, offset: data.from.byteOffset }),
        hint: 'quantized checkpoints cannot be converted: take the original weights',
      });
  const used = new Set([...weights.keys()].map(huggingFaceName));
  const unused = bigVision ? [] : [...tensors.keys()].filter((name) => !used.has(name));
  const warnings = unused.length === 0 ? [] : [`${unused.length} tensors are not part of PaliGemma and were ignored: ${unused.slice(0, 5).join(', ')}${unused.length > 5 ? ', …' : ''}`];
  return { config, weights, inferences, warnings };
}

function canonicalFromHuggingFace(tensors: ReadonlyMap<string, TensorData>, config: PaliGemmaConfig): Map<string, TensorData> {
  const weights = new Map<string, TensorData>();
  for (const name of [...canonicalShapes(config, config.tableRows).keys(), 'lm.head']) {
    const data = tensors.get(huggingFaceName(name));
    if (data) weights.set(name, data);
  }
  return weights;
}

/** The three graphs in f32, and what a runtime must know. Weights stay unread. */
export function buildProgram(config: PaliGemmaConfig, weights: CanonicalWeights): Program {
  const { vision, text } = config;
  return {
    graphs: [visionEncoder(vision, weights), embedTokens(config, weights), decoder(config, weights)],
    metadata: {
      family: 'paligemma',
      variant: variantName(config),
      imageSize: vision.imageSize,
      imageTokens: imageTokens(vision),
      imageTokenId: config.imageTokenId,
      vocabSize: config.vocabSize,
      layers: text.layers,
      kvHeads: text.kvHeads,
      headDim: text.headDim,
      hiddenSize: text.width,
      bosTokenId: config.bosTokenId,
      eosTokenId: config.eosTokenId,
      padTokenId: config.padTokenId,
      maxPositions: text.maxPositions,
    },
  };
}

function refuseGemma2(tensors: ReadonlyMap<string, TensorData>, { path }: Checkpoint): void {
  const marker = ['llm/layers/post_ffw_norm/scale', 'language_model.layers.0.post_feedforward_layernorm.weight'].find((name) => tensors.has(name));
  if (marker) throw new BadInputError('unsupported_family', 'this is PaliGemma 2, which this version does not convert', { file: path, tensor: marker, hint: 'convert a PaliGemma 1 checkpoint' });
}
