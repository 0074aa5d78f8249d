import type { TensorData } from '../../../ir/tensor.ts';
import { transposeData } from '../../../ir/views/transpose.ts';
import { BadInputError } from '../../errors.ts';
import { isFactor, unmergedAdapter } from '../unmerged.ts';

/** A model that is built on PaliGemma and holds one whole (spec D.3). */
export type Relative = 'colpali' | 'pi0';

/** A Hugging Face checkpoint under one spelling of names. */
export interface HuggingFaceTensors {
  /** By normalised name, without what nothing uses. */
  readonly tensors: ReadonlyMap<string, TensorData>;
  /** Undefined for PaliGemma itself. */
  readonly relative: Relative | undefined;
  /** One sentence each: what was left out, and why. */
  readonly warnings: readonly string[];
}

/** What training frameworks put between the names of modules: torch.compile, FSDP, activation checkpointing, DDP. */
const WRAPPERS = /(?<=^|\.)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.|^module\./g;
/** Where relatives keep their PaliGemma: openpi and LeRobot, its first π0-FAST, transformers' PI0 in memory, ColPali. */
const BACKBONE = /^(?:(?:model\.)*(?:paligemma_with_expert\.paligemma|pi0_paligemma)|model\.vlm|vlm)\./;

/**
 * One spelling for all generations of names (spec D.1): (a) hub originals, (b) 4.52 and later in memory, (c) saved by
 * 5.x, (d) 5.x in memory; for those that PEFT wraps; and for the backbone and the head of relatives (spec D.3).
 */
export function normalizeName(name: string): string {
  return name
    .replaceAll(WRAPPERS, '')
    .replace(/^base_model\.model\./, '')
    .replaceAll('.base_layer.', '.')
    .replace(BACKBONE, '')
    .replace(/^(?:model\.)+/, '')
    .replace(/^language_model\.lm_head\./, 'lm_head.')
    .replace(/^language_model\.model\./, 'language_model.')
    .replace(/^vision_tower\.vision_model\./, 'vision_tower.')
    .replace(/^custom_text_proj\./, 'embedding_proj_layer.');
}

/** Buffers and heads that some releases carry and no PaliGemma uses. */
const UNUSED = /\.position_ids$|\.rotary_emb\.inv_freq$|^vision_tower\.head\./;
const PALIGEMMA = /^(?:language_model|vision_tower|multi_modal_projector|lm_head)\./;
const HEAD = 'lm_head.weight';
const TABLE = 'language_model.embed_tokens.weight';
const PATCH = 'vision_tower.embeddings.patch_embedding.weight';

/** Which relative of PaliGemma has tensors of these names. */
export function relativeOf(names: Iterable<string>): Relative | undefined {
  for (const name of names) {
    if (/(?:^|\.)(?:paligemma_with_expert|pi0_paligemma|dit)\./.test(name)) return 'pi0';
    if (/(?:^|\.)(?:custom_text_proj|embedding_proj_layer)\./.test(name)) return 'colpali';
  }
  return undefined;
}

/**
 * Tensors by normalised name. A table that is only there as the head is the embedding, which π0 relies on. A patch
 * kernel with its channels last, which is all that MLX stores otherwise, is turned.
 * @param file for messages
 * @throws BadInputError when two tensors get one name, or when adapter factors lie unmerged beside the weights
 */
export function normalizeHuggingFace(tensors: ReadonlyMap<string, TensorData>, file: string): HuggingFaceTensors {
  const relative = relativeOf(tensors.keys());
  const normalized = new Map<string, TensorData>();
  const sources = new Map<string, string>();
  const leftOut: string[] = [];
  for (const [name, data] of tensors) {
    const short = normalizeName(name);
    if (isUnused(short)) continue;
    if (isLeftOut(name, relative)) {
      leftOut.push(name);
      continue;
    }
    const place = { file: data.from?.file ?? file, tensor: name, ...(data.from && { offset: data.from.byteOffset }) };
    if (isFactor(name)) throw unmergedAdapter(name, place);
    const other = sources.get(short);
    if (other !== undefined)
      throw new BadInputError(
        'duplicate_tensor',
        `"${other}" and "${name}" are the same parameter, "${short}", under names of two generations`,
        { ...place, hint: 'keep the files of one of them: the folder mixes two exports' },
      );
    sources.set(short, name);
    normalized.set(short, data);
  }
  const warnings =
    leftOut.length > 0
      ? [
          `This is a π0 checkpoint: its PaliGemma is converted, and ${leftOut.length} tensors of the action expert were left out (${summary(leftOut)}).`,
        ]
      : [];
  const head = normalized.get(HEAD);
  if (head && !normalized.has(TABLE)) {
    normalized.delete(HEAD);
    normalized.set(TABLE, head);
    if (relative !== 'pi0')
      warnings.push(`The checkpoint holds "${sources.get(HEAD)!}" and no embedding table: the one serves as both.`);
  }
  const patch = normalized.get(PATCH);
  if (patch && isChannelsLast(patch.shape)) {
    normalized.set(PATCH, transposeData(patch, [0, 3, 1, 2]));
    warnings.push(`"${sources.get(PATCH)!}" lies [out, height, width, in], as MLX has it, and was turned.`);
  }
  return { tensors: normalized, relative, warnings };
}

/** [out, p, p, 3], where transformers has [out, 3, p, p]. */
function isChannelsLast([, height, width, channels]: readonly number[]): boolean {
  return channels === 3 && height === width && height !== 3;
}

/** Whether a tensor of this normalised name is a buffer, or a head, that no PaliGemma uses. */
export function isUnused(normalized: string): boolean {
  return UNUSED.test(normalized);
}

/** Whether a tensor is in nobody's way: unused, or a π0's own, of its action expert and projections. */
export function isLeftOut(name: string, relative: Relative | undefined): boolean {
  const short = normalizeName(name);
  return isUnused(short) || (relative === 'pi0' && !(PALIGEMMA.test(short) && isBackbone(name)));
}

/** The expert and the projections of a π0 have names that could be a Gemma's: only what lies under its PaliGemma is. */
function isBackbone(name: string): boolean {
  return BACKBONE.test(name.replaceAll(WRAPPERS, '').replace(/^base_model\.model\./, ''));
}

/** The modules that tensors belong to, each once. */
function summary(names: readonly string[]): string {
  const modules = [
    ...new Set(
      names.map((name) =>
        name.replace(/^(?:model\.)*(?:paligemma_with_expert\.|embed_action_time\.)?/, '').replace(/\..*$/, ''),
      ),
    ),
  ];
  return modules.length > 6 ? `${modules.slice(0, 6).join(', ')}, …` : modules.join(', ');
}
