import type { Program, ProgramMetadata } from '../../ir/graph.ts';
import { isFloat } from '../../ir/dtypes/index.ts';
import { applyAdapters } from './adapters/index.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { BadInputError } from '../errors.ts';
import type { Family, Model, ModelOptions } from './family.ts';
import { chooseBehaviour, HUGGING_FACE, type Behaviour } from './paligemma/behaviour.ts';
import { bigVisionArrays, canonicalFromBigVision } from './paligemma/big_vision.ts';
import { bigVisionTree, normalizeBigVision } from './paligemma/big_vision_tree.ts';
import { imageTokens, variantName, type PaliGemmaConfig } from './paligemma/config.ts';
import { decoder } from './paligemma/decoder.ts';
import { embedTokens } from './paligemma/embed_tokens.ts';
import { canonicalFromHuggingFace, canonicalNames, huggingFaceName } from './paligemma/hugging_face.ts';
import { normalizeHuggingFace, normalizeName } from './paligemma/hugging_face_names.ts';
import { inferFromBigVision } from './paligemma/infer_big_vision.ts';
import { inferFromHuggingFace } from './paligemma/infer_hugging_face.ts';
import { readStopTokens } from './paligemma/stop_tokens.ts';
import { resolveHead } from './paligemma/tied_head.ts';
import { useOf } from './paligemma/use.ts';
import { visionEncoder } from './paligemma/vision_encoder.ts';
import { weightRoles } from './paligemma/weight_roles.ts';
import { checkWeights, type CanonicalWeights } from './paligemma/weights.ts';

/** SigLIP, a linear projector and a Gemma decoder: PaliGemma (arXiv:2407.07726) and PaliGemma 2 (arXiv:2412.03555). */
export const paligemma: Family = {
  name: 'paligemma',
  matches({ format, tensors, path }) {
    if (format === 'huggingface')
      return [...tensors.keys()].some((name) => normalizeName(name) === 'multi_modal_projector.linear.weight');
    const tree = bigVisionTree(tensors, path);
    return tree.has('llm/embedder/input_embedding') && tree.has('img/embedding/kernel');
  },
  async load(checkpoint, options = {}) {
    const read = readCheckpoint(checkpoint);
    const stops = await readStopTokens(checkpoint, read.config);
    const config = { ...read.config, ...(stops.stopTokenIds && { stopTokenIds: stops.stopTokenIds }) };
    const { behaviour, inferences } = chooseBehaviour(options, config);
    const adapted = await adapt(read.weights, config, options);
    const head = await resolveHead(adapted.weights, config.vocabSize);
    const program = buildProgram(config, head.weights, behaviour);
    return {
      family: familyOf(config),
      program,
      roleOf: weightRoles(program),
      inferences: [...read.inferences, ...stops.inferences, head.inference, ...inferences],
      warnings: [...read.warnings, ...adapted.warnings, ...head.warnings],
      changes: adapted.changes,
      use: useOf(program.metadata),
    };
  },
};

/**
 * A checkpoint of either layout as sizes and canonical weights.
 * @throws BadInputError naming what is missing or does not fit.
 */
export function readCheckpoint(
  checkpoint: Checkpoint,
): { config: PaliGemmaConfig; weights: CanonicalWeights } & Pick<Model, 'inferences' | 'warnings'> {
  const { format, path } = checkpoint;
  const bigVision = format === 'big_vision';
  const { tensors, warnings } = bigVision
    ? normalizeBigVision(checkpoint.tensors, path)
    : normalizeHuggingFace(checkpoint.tensors, path);
  const { config, inferences } = bigVision
    ? inferFromBigVision(tensors, path)
    : inferFromHuggingFace(tensors, checkpoint);
  const weights = bigVision ? canonicalFromBigVision(tensors, config) : canonicalFromHuggingFace(tensors, config);
  checkWeights(weights, config, bigVision ? (name) => name : (name) => huggingFaceName(name, config.text));
  for (const data of weights.values())
    if (!isFloat(data.dtype))
      throw new BadInputError(
        'unsupported_dtype',
        `"${data.from?.key}" is ${data.dtype}: weights must be f32, f16 or bf16`,
        {
          tensor: data.from?.key ?? '?',
          ...(data.from && { file: data.from.file, offset: data.from.byteOffset }),
          hint: 'quantized checkpoints cannot be converted: take the original weights',
        },
      );
  const known = bigVision ? new Set(bigVisionArrays(config).map(({ key }) => key)) : canonicalNames(config);
  const unused = [...tensors.keys()].filter((name) => !known.has(name));
  const ignored =
    unused.length === 0
      ? []
      : [
          `${unused.length} tensors are not part of PaliGemma and were ignored: ${unused.slice(0, 5).join(', ')}${unused.length > 5 ? ', …' : ''}`,
        ];
  return { config, weights, inferences, warnings: [...warnings, ...ignored] };
}

async function adapt(
  weights: CanonicalWeights,
  config: PaliGemmaConfig,
  { adapters = [] }: ModelOptions,
): Promise<Awaited<ReturnType<typeof applyAdapters>>> {
  if (adapters.length === 0) return { weights: new Map(weights), changes: [], warnings: [] };
  const names = canonicalNames(config);
  const adapted = await applyAdapters(weights, adapters, (parameter) => names.get(normalizeName(parameter)), config);
  checkWeights(adapted.weights, config, (name) => huggingFaceName(name, config.text));
  return adapted;
}

function familyOf({ text }: PaliGemmaConfig): 'paligemma' | 'paligemma2' {
  return text.postNorms ? 'paligemma2' : 'paligemma';
}

/** The three graphs in f32, and what a runtime must know. Weights stay unread. */
export function buildProgram(
  config: PaliGemmaConfig,
  weights: CanonicalWeights,
  behaviour: Behaviour = HUGGING_FACE,
): Program {
  return {
    graphs: [
      visionEncoder(config.vision, weights),
      embedTokens(config, weights, behaviour),
      decoder(config, weights, behaviour),
    ],
    metadata: metadataOf(config),
  };
}

/** What a runtime must know of a model of these sizes. */
export function metadataOf(config: PaliGemmaConfig): ProgramMetadata {
  const { vision, text } = config;
  return {
    family: familyOf(config),
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
    ...(config.retrievalWidth > 0 && { retrievalWidth: config.retrievalWidth }),
    ...(config.stopTokenIds && { stopTokenIds: config.stopTokenIds }),
  };
}
