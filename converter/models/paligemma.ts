import type { Program, ProgramMetadata } from '../../ir/graph.ts';
import { isFloat } from '../../ir/dtypes/index.ts';
import { applyAdapters, tableRowsOf, type AdaptedWeights } from './adapters/index.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { BadInputError, UsageError } from '../errors.ts';
import type { Family, Model, ModelOptions } from './family.ts';
import type { Fates } from './ledger/ledger.ts';
import { adapterEntries, checkpointEntries } from './paligemma/ledger_entries.ts';
import { LeaveOut } from './ledger/unaccounted.ts';
import { chooseBehaviour, HUGGING_FACE, type Behaviour } from './paligemma/behaviour.ts';
import { checkLeftOut, fatesOf } from './paligemma/account.ts';
import { bigVisionArrays, canonicalFromBigVision } from './paligemma/big_vision.ts';
import { bigVisionTree, normalizeBigVision } from './paligemma/big_vision_tree.ts';
import { imageTokens, paddedRows, variantName, type PaliGemmaConfig } from './paligemma/config.ts';
import { decoder } from './paligemma/decoder.ts';
import { embedTokens } from './paligemma/embed_tokens.ts';
import type { TableFacts } from './paligemma/evidence.ts';
import { canonicalFromHuggingFace, canonicalNames, huggingFaceName } from './paligemma/hugging_face.ts';
import { normalizeHuggingFace, normalizeName } from './paligemma/hugging_face_names.ts';
import { inferFromBigVision } from './paligemma/infer_big_vision.ts';
import { inferFromHuggingFace } from './paligemma/infer_hugging_face.ts';
import { maskDecoder, MASK_SIZE, readMaskDecoder, type MaskDecoder } from './paligemma/mask_decoder.ts';
import { readStopTokens } from './paligemma/stop_tokens.ts';
import { resolveHead, type ResolvedHead } from './paligemma/tied_head.ts';
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
    const { adapters = [], tokens, leaveOut = [] } = options;
    const adapterRows = Math.max(0, ...adapters.map((adapter) => tableRowsOf(adapter, isTable)));
    const read = readCheckpoint(checkpoint, { tokens, adapterRows, leaveOut });
    const stops = await readStopTokens(checkpoint, read.config);
    const config = { ...read.config, ...(stops.stopTokenIds && { stopTokenIds: stops.stopTokenIds }) };
    const { behaviour, inferences } = chooseBehaviour(options, config);
    const adapted = await adapt(read.weights, config, options);
    const head = await resolveHead(adapted.weights, config, options.compare);
    const equal = adapted.equal ?? head.equal;
    await checkLeftOut(checkpoint.tensors, read.fates, config);
    const masks = options.maskDecoder && masksFor(config, options.maskDecoder);
    const program = buildProgram(config, head.weights, behaviour, masks);
    return {
      family: familyOf(config),
      program,
      roleOf: weightRoles(program),
      inferences: [...read.inferences, ...stops.inferences, head.inference, ...inferences],
      warnings: [...read.warnings, ...adapted.warnings, ...head.warnings],
      changes: adapted.changes,
      ledger: [
        ...checkpointEntries(checkpoint, read.fates, { config, tokens, replaced: adapted.replaced, equal }),
        ...adapterEntries(adapted.used, { config, tokens }),
        ...(masks?.ledger ?? []),
      ],
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
  facts: TableFacts = {},
): { config: PaliGemmaConfig; weights: CanonicalWeights; fates: Fates } & Pick<Model, 'inferences' | 'warnings'> {
  const { format, path } = checkpoint;
  const bigVision = format === 'big_vision';
  const { tensors, sources, leftOut, warnings } = bigVision
    ? normalizeBigVision(checkpoint.tensors, path)
    : normalizeHuggingFace(checkpoint.tensors, path, checkpoint.unreadable?.keys());
  const { config, inferences } = bigVision
    ? inferFromBigVision(tensors, path, facts)
    : inferFromHuggingFace(tensors, checkpoint, facts);
  const weights = bigVision ? canonicalFromBigVision(tensors, config) : canonicalFromHuggingFace(tensors, config);
  checkWeights(
    weights,
    config,
    bigVision ? (name) => name : (name) => huggingFaceName(name, config.text),
    facts.adapterRows ? Math.min(config.vocabSize, config.imageTokenId) : config.vocabSize,
  );
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
  const known: ReadonlyMap<string, readonly string[]> = bigVision
    ? new Map(bigVisionArrays(config).map(({ key, parts }) => [key, Object.keys(parts)]))
    : new Map([...canonicalNames(config)].map(([name, canonical]) => [name, [canonical]]));
  const used = new Map(
    [...sources].flatMap(([key, raw]) => {
      const names = known.get(key);
      return names ? [raw].flat().map((name) => [name, names] as const) : [];
    }),
  );
  const fates = fatesOf(checkpoint, { used, leftOut }, new LeaveOut(facts.leaveOut));
  return { config, weights, inferences, warnings, fates };
}

async function adapt(
  weights: CanonicalWeights,
  config: PaliGemmaConfig,
  { adapters = [], tokens, compare }: ModelOptions,
): Promise<AdaptedWeights & Pick<ResolvedHead, 'equal'>> {
  if (adapters.length === 0)
    return { weights: new Map(weights), changes: [], warnings: [], used: [], replaced: new Set() };
  const names = canonicalNames(config);
  refuseUnnamedTokens(weights, config, { adapters, tokens });
  // the rows of single tokens are trained in table and head alike where the two are one, whichever way it is stored
  const hasTokens = adapters.some(({ config: { tokenIds } }) => tokenIds.size > 0);
  const one: Pick<ResolvedHead, 'weights' | 'equal'> = hasTokens
    ? await resolveHead(weights, config, compare)
    : { weights };
  const adapted = await applyAdapters(
    one.weights,
    adapters,
    (parameter) => names.get(normalizeName(parameter)),
    config,
  );
  checkWeights(adapted.weights, config, (name) => huggingFaceName(name, config.text));
  return { ...adapted, ...(one.equal && { equal: one.equal }) };
}

/** Whether a parameter is the table of tokens or the head. */
function isTable(parameter: string): boolean {
  return /^(?:language_model\.embed_tokens|lm_head)\.weight$/.test(normalizeName(parameter));
}

/**
 * Rows of an adapter's table that are neither tokens which a tokenizer names nor padding.
 * @throws BadInputError that asks for the tokenizer
 */
function refuseUnnamedTokens(
  weights: CanonicalWeights,
  { vocabSize, imageTokenId }: PaliGemmaConfig,
  { adapters = [], tokens }: Pick<ModelOptions, 'adapters' | 'tokens'>,
): void {
  const baseRows = weights.get('lm.embed')!.shape[0]!;
  const end = Math.max(tokens?.end ?? Math.min(vocabSize, baseRows), imageTokenId + 1);
  for (const adapter of adapters) {
    const rows = tableRowsOf(adapter, isTable);
    if (rows === 0 || rows === baseRows || rows <= end || rows === paddedRows(end - 1)) continue;
    throw new BadInputError(
      'adapter_tokens_unknown',
      `the adapter's table has ${rows} rows, and the tokenizer knows ${end} tokens: those behind them have no names`,
      {
        file: adapter.path,
        hint: 'give the tokenizer that the adapter was trained with: --tokenizer tokenizer.json',
      },
    );
  }
}

function familyOf({ text }: PaliGemmaConfig): 'paligemma' | 'paligemma2' {
  return text.postNorms ? 'paligemma2' : 'paligemma';
}

/** @throws UsageError for a model that writes no answers */
function masksFor({ retrievalWidth }: PaliGemmaConfig, file: Checkpoint): MaskDecoder {
  if (retrievalWidth === 0) return readMaskDecoder(file);
  throw new UsageError('unsupported_model', 'ColPali writes no answers, and so no codes of masks', {
    file: file.path,
    hint: 'leave out --mask-decoder',
  });
}

/** The graphs in f32, and what a runtime must know. Weights stay unread. */
export function buildProgram(
  config: PaliGemmaConfig,
  weights: CanonicalWeights,
  behaviour: Behaviour = HUGGING_FACE,
  masks?: Pick<MaskDecoder, 'weights'>,
): Program {
  return {
    graphs: [
      visionEncoder(config.vision, weights),
      embedTokens(config, weights, behaviour),
      decoder(config, weights, behaviour),
      ...(masks ? [maskDecoder(masks)] : []),
    ],
    metadata: { ...metadataOf(config), ...(masks && { maskSize: MASK_SIZE }) },
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
