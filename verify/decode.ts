import type { Runner } from '../backends/backend.ts';
import type { ProgramMetadata } from '../ir/graph.ts';
import { dtypes } from '../ir/dtypes/index.ts';
import { tensorOf, type Tensor } from '../ir/tensor.ts';
import { callsOf, type Input, type PlanOptions } from './calls.ts';
import { VerifyError } from './error.ts';
import { maskedImage } from './image_column.ts';
import { checkPositions, checkPrompt, extendMask, mergeImageFeatures, positionIds, type Prompt } from './prompt.ts';

/** A program in something that runs it. */
export interface Model {
  readonly runner: Runner;
  readonly metadata: ProgramMetadata;
}

/** What has been read: immutable, so a continuation may start from it more than once, and before it is computed. */
export interface DecoderState {
  readonly cache: Readonly<Record<string, Input>>;
  /** i64[B, tokens read]. */
  readonly attentionMask: Tensor;
  /** Of the first token of each row. */
  readonly firstPosition: number;
}

export interface StepOptions extends PlanOptions {
  /** Positions from the end that get logits; 0 for all. */
  readonly logitsToKeep?: number;
  /**
   * Whether steps may go on from it that are planned when it is computed; default true. A cache that nobody will ask
   * for is let go of layer by layer.
   */
  readonly keepsCache?: boolean;
}

/** A step that is planned: others may go on from its state, and then wait for what it gives. */
export interface PlannedStep {
  readonly state: DecoderState;
  readonly done: Promise<Step>;
}

export interface Step {
  readonly state: DecoderState;
  /** [B, kept, V]. */
  readonly logits: Tensor;
  /** [B, read, E]: ColPali's vectors of the tokens that were read, 0 for padding. */
  readonly embeddings?: Tensor;
  readonly stages: Readonly<Record<string, Tensor>>;
}

/** Images to features [images, P, D]; the image tower does not run for none. */
export async function encodeImages(
  { runner, metadata }: Model,
  pixelValues: Tensor,
  { stages = [], ...given }: PlanOptions = {},
): Promise<{ features: Tensor; stages: Readonly<Record<string, Tensor>> }> {
  if (pixelValues.shape[0] === 0)
    return { features: tensorOf('f32', [0, metadata.imageTokens, metadata.hiddenSize], []), stages: {} };
  const results = await callsOf(runner).plan('vision_encoder', { pixel_values: pixelValues }, { stages, ...given })
    .results;
  return { features: resultOf(results, 'image_features', runner), stages: pick(results, stages) };
}

/**
 * Reads a whole prompt with an empty cache: image and text, or text alone, see each other in both directions.
 * @throws VerifyError for a prompt that does not fit.
 */
export async function prefill(
  model: Model,
  prompt: Prompt,
  features: Tensor,
  options: StepOptions = {},
): Promise<Step> {
  return (await planPrefill(model, prompt, features, options)).done;
}

/** The same, not yet computed. @throws VerifyError for a prompt that does not fit. */
export async function planPrefill(
  model: Model,
  prompt: Prompt,
  features: Tensor,
  options: StepOptions = {},
): Promise<PlannedStep> {
  checkPrompt(prompt, model.metadata);
  const own = model.metadata.imageTokenId;
  const ids = { ...prompt.inputIds, data: prompt.inputIds.data.map((id) => (id === prompt.imageTokenId ? own : id)) };
  const embeddings = mergeImageFeatures(await embed(model, ids), features, prompt);
  const { attentionMask, firstPosition = 1 } = prompt;
  const cache = await emptyCache(model, prompt.inputIds.shape[0]!);
  return planDecoder(model, embeddings, { cache, attentionMask, firstPosition }, options);
}

/** Reads more tokens i64[B, n] after what a state holds: each sees what came before it. */
export async function extend(model: Model, state: DecoderState, ids: Tensor, options: StepOptions = {}): Promise<Step> {
  return (await planExtend(model, state, ids, options)).done;
}

/** The same, not yet computed. */
export async function planExtend(
  model: Model,
  { cache, attentionMask, firstPosition }: DecoderState,
  ids: Tensor,
  options: StepOptions = {},
): Promise<PlannedStep> {
  const mask = extendMask(attentionMask, ids.shape[1]!);
  checkPositions(mask.shape[1]!, firstPosition, model.metadata.maxPositions);
  return planDecoder(model, await embed(model, ids), { cache, attentionMask: mask, firstPosition }, options);
}

async function embed({ runner }: Model, inputIds: Tensor): Promise<Tensor> {
  const { results } = callsOf(runner).plan('embed_tokens', { input_ids: inputIds });
  return resultOf(await results, 'inputs_embeds', runner);
}

async function emptyCache(
  { runner, metadata: { layers, kvHeads, headDim } }: Model,
  batch: number,
): Promise<Record<string, Tensor>> {
  const inputs = await runner.inputDtypes('decoder');
  const names = Array.from({ length: layers }, (_, i) => [
    `past_key_values.${i}.key`,
    `past_key_values.${i}.value`,
  ]).flat();
  return Object.fromEntries(
    names.map((name) => {
      const dtype = inputs[name];
      if (!dtype)
        throw new VerifyError(
          'bad_output',
          `the decoder of ${runner.description} has no input "${name}"`,
          'convert again: the bundle and its metadata disagree',
        );
      return [name, { dtype, shape: [batch, kvHeads, 0, headDim], data: dtypes[dtype].allocate(0) }] as const;
    }),
  );
}

/** New tokens behind a cache; the mask is over both. */
function planDecoder(
  { runner, metadata }: Model,
  embeddings: Tensor,
  { cache, attentionMask, firstPosition }: DecoderState,
  { logitsToKeep = 0, keepsCache = true, stages = [], ...given }: StepOptions,
): PlannedStep {
  const inputs = {
    inputs_embeds: embeddings,
    attention_mask: attentionMask,
    position_ids: positionIds(attentionMask, embeddings.shape[1], firstPosition),
    num_logits_to_keep: tensorOf('i64', [], [logitsToKeep]),
    ...cache,
  };
  const outputs = keepsCache ? {} : { outputs: ['logits', 'embeddings'] };
  const call = callsOf(runner).plan('decoder', inputs, { ...outputs, stages, ...given });
  const present = (name: string) => name.replace('past_key_values', 'present');
  const longer = Object.keys(cache).map((name) => [name, { call, output: present(name) }] as const);
  const state = { cache: Object.fromEntries(longer), attentionMask, firstPosition };
  const finish = async (): Promise<Step> => {
    const results = await call.results;
    // A bundle that should give vectors and does not is broken; one that need not may: the comparison tells.
    const vectors =
      metadata.retrievalWidth === undefined ? results['embeddings'] : resultOf(results, 'embeddings', runner);
    if (keepsCache) for (const name of Object.keys(cache)) resultOf(results, present(name), runner);
    return {
      state,
      logits: maskedImage(resultOf(results, 'logits', runner), metadata, runner.description),
      ...(vectors && { embeddings: vectors }),
      stages: pick(results, stages),
    };
  };
  const done = finish();
  // whoever waits hears of it
  done.catch(() => {});
  return { state, done };
}

function resultOf(results: Readonly<Record<string, Tensor>>, name: string, { description }: Runner): Tensor {
  const tensor = results[name];
  if (!tensor)
    throw new VerifyError(
      'bad_output',
      `${description} returned no "${name}"`,
      'convert again: the bundle lacks an output',
    );
  return tensor;
}

function pick(results: Readonly<Record<string, Tensor>>, names: readonly string[]): Record<string, Tensor> {
  return Object.fromEntries(names.flatMap((name) => (results[name] ? [[name, results[name]] as const] : [])));
}
