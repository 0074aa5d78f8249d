import type { TensorData } from '../../../ir/tensor.ts';
import { BadInputError } from '../../errors.ts';
import type { Reason } from '../ledger/ledger.ts';

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
/** Where relatives keep their PaliGemma: openpi and LeRobot, transformers' PI0 in memory, ColPali. */
const BACKBONE = /^(?:(?:model\.)*paligemma_with_expert\.paligemma|model\.vlm|vlm)\./;

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
/** Factors that PEFT has not merged, and the full copies that replace modules. */
const UNMERGED = /\.(?:lora_(?:A|B|embedding_A|embedding_B|magnitude_vector)|modules_to_save|original_module)\b/;
const HEAD = 'lm_head.weight';
const TABLE = 'language_model.embed_tokens.weight';

/** Which relative of PaliGemma has tensors of these names. */
export function relativeOf(names: Iterable<string>): Relative | undefined {
  for (const name of names) {
    if (/(?:^|\.)(?:paligemma_with_expert|dit)\./.test(name)) return 'pi0';
    if (/(?:^|\.)(?:custom_text_proj|embedding_proj_layer)\./.test(name)) return 'colpali';
  }
  return undefined;
}

/**
 * Tensors by normalised name. A table that is only there as the head is the embedding, which π0 relies on.
 * @param file for messages
 * @throws BadInputError when two tensors get one name, or when adapter factors lie unmerged beside the weights
 */
export function normalizeHuggingFace(tensors: ReadonlyMap<string, TensorData>, file: string): HuggingFaceTensors {
  const relative = relativeOf(tensors.keys());
  const normalized = new Map<string, TensorData>();
  const sources = new Map<string, string>();
  const leftOut = new Map<string, Reason>();
  for (const [name, data] of tensors) {
    const short = normalizeName(name);
    const unused = UNUSED.find(([pattern]) => pattern.test(short))?.[1];
    const beside = relative === 'pi0' && !(PALIGEMMA.test(short) && isBackbone(name));
    if (unused !== undefined || (beside && EXPERT.test(bare(name)))) {
      leftOut.set(name, unused ?? 'action_expert');
      continue;
    }
    if (beside) {
      // its own name, which no parameter has: nothing is known of it
      normalized.set(name, data);
      sources.set(name, name);
      continue;
    }
    const place = { file: data.from?.file ?? file, tensor: name, ...(data.from && { offset: data.from.byteOffset }) };
    if (UNMERGED.test(name))
      throw new BadInputError(
        'unmerged_adapter',
        `"${name}" belongs to an adapter that was not merged into the weights beside it`,
        {
          ...place,
          hint: 'merge it in Python with model.merge_and_unload().save_pretrained(out) and give that folder, or give the base model and the adapter apart',
        },
      );
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
  return { tensors: normalized, sources, leftOut, relative, warnings };
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
