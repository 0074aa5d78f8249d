import type { TensorData } from '../../../ir/tensor.ts';
import { transposeData } from '../../../ir/views/transpose.ts';
import { BadInputError } from '../../errors.ts';
import type { Reason } from '../ledger/ledger.ts';
import { isFactor, unmergedAdapter } from '../unmerged.ts';

/** A model that is built on PaliGemma and holds one whole (spec D.3). */
export type Relative = 'colpali' | 'pi0';

/** A Hugging Face checkpoint under one spelling of names. */
export interface HuggingFaceTensors {
  /** By normalised name, without what nothing uses. */
  readonly tensors: ReadonlyMap<string, TensorData>;
  /** The name that the files give each of them. */
  readonly sources: ReadonlyMap<string, string>;
  /** What nothing uses, by the files' names. */
  readonly leftOut: ReadonlyMap<string, Reason>;
  /** Undefined for PaliGemma itself. */
  readonly relative: Relative | undefined;
  /** One sentence each: what was left out, and why. */
  readonly warnings: readonly string[];
}

/** What training frameworks put between the names of modules: torch.compile, FSDP, activation checkpointing, DDP. */
const WRAPPERS = /(?<=^|\.)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.|^module\./g;
/** Where relatives keep their PaliGemma: openpi and LeRobot, its old π0-FAST, transformers' PI0 in memory, ColPali. */
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
const UNUSED: readonly (readonly [RegExp, Reason])[] = [
  [/\.position_ids$/, 'position_ids'],
  [/\.rotary_emb\.inv_freq$/, 'rope_frequencies'],
  [
    /^vision_tower\.head\.(?:probe|attention\.(?:in_proj_weight|in_proj_bias|out_proj\.(?:weight|bias))|layernorm\.(?:weight|bias)|mlp\.fc[12]\.(?:weight|bias))$/,
    'vision_head',
  ],
];
/** What openpi, LeRobot and transformers keep beside the PaliGemma of a π0. */
const EXPERT =
  /^(?:model\.)*(?:(?:paligemma_with_expert\.)?gemma_expert|dit|embed_action_time|(?:state|action_in|action_out)_proj|(?:action_)?time_mlp_(?:in|out)|(?:un)?normalize_(?:inputs|outputs|targets))\./;
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
 * @param unreadable names of tensors that lie beside these and cannot be read: some are left out
 * @throws BadInputError when two tensors get one name, or when adapter factors lie unmerged beside the weights
 */
export function normalizeHuggingFace(
  tensors: ReadonlyMap<string, TensorData>,
  file: string,
  unreadable: Iterable<string> = [],
): HuggingFaceTensors {
  const relative = relativeOf(tensors.keys());
  const normalized = new Map<string, TensorData>();
  const sources = new Map<string, string>();
  const leftOut = new Map<string, Reason>();
  for (const [name, data] of tensors) {
    const short = normalizeName(name);
    const reason = reasonOf(name, relative);
    if (reason) {
      leftOut.set(name, reason);
      continue;
    }
    if (relative === 'pi0' && !isBackboneTensor(name)) {
      // its own name, which no parameter has: nothing is known of it
      normalized.set(name, data);
      sources.set(name, name);
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
  for (const name of unreadable) {
    const reason = reasonOf(name, relative);
    if (reason) leftOut.set(name, reason);
  }
  const expert = [...leftOut].flatMap(([name, reason]) => (reason === 'action_expert' ? [name] : []));
  const warnings =
    expert.length > 0
      ? [
          `This is a π0 checkpoint: its PaliGemma is converted, and ${expert.length} tensors of the action expert were left out (${summary(expert)}).`,
        ]
      : [];
  const head = normalized.get(HEAD);
  if (head && !normalized.has(TABLE)) {
    normalized.delete(HEAD);
    normalized.set(TABLE, head);
    sources.set(TABLE, sources.get(HEAD)!);
    if (relative !== 'pi0')
      warnings.push(`The checkpoint holds "${sources.get(HEAD)!}" and no embedding table: the one serves as both.`);
  }
  const patch = normalized.get(PATCH);
  if (patch && isChannelsLast(patch.shape)) {
    normalized.set(PATCH, transposeData(patch, [0, 3, 1, 2]));
    warnings.push(`"${sources.get(PATCH)!}" lies [out, height, width, in], as MLX has it, and was turned.`);
  }
  return { tensors: normalized, sources, leftOut, relative, warnings };
}

/** [out, p, p, 3], where transformers has [out, 3, p, p]. */
function isChannelsLast([, height, width, channels]: readonly number[]): boolean {
  return channels === 3 && height === width && height !== 3;
}

/** Why nothing uses a tensor of this normalised name, whatever model it is in; undefined for others. */
export function unusedReason(normalized: string): Reason | undefined {
  return UNUSED.find(([pattern]) => pattern.test(normalized))?.[1];
}

/** Why a tensor is left out: nothing uses it, or it is a π0's own; undefined for weights, and for what nobody knows. */
export function reasonOf(name: string, relative: Relative | undefined): Reason | undefined {
  const unused = unusedReason(normalizeName(name));
  if (unused !== undefined) return unused;
  return relative === 'pi0' && !isBackboneTensor(name) && EXPERT.test(bare(name)) ? 'action_expert' : undefined;
}

/** Whether a π0's tensor is one of its PaliGemma. */
function isBackboneTensor(name: string): boolean {
  return PALIGEMMA.test(normalizeName(name)) && isBackbone(name);
}

/** The expert and the projections of a π0 have names that could be a Gemma's: only what lies under its PaliGemma is. */
function isBackbone(name: string): boolean {
  return BACKBONE.test(bare(name));
}

/** A name without what training frameworks put into it. */
function bare(name: string): string {
  return name.replaceAll(WRAPPERS, '').replace(/^base_model\.model\./, '');
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
