import { z } from 'zod';
import { shellWord } from '../../ir/text/shell_word.ts';
import type { Checkpoint } from '../checkpoints/checkpoint.ts';
import { leftoverTensors } from '../checkpoints/leftover_tensors.ts';
import { unreadableTensor } from '../checkpoints/safetensors.ts';
import { modelArrays } from '../checkpoints/tree_root.ts';
import { BadInputError, type ErrorPlace } from '../errors.ts';
import { recognizeBuiltOn } from './built_on.ts';
import { normalizeName, reasonOf, relativeOf } from './paligemma/hugging_face_names.ts';
import { isPaliGemmaTensor } from './paligemma/known_names.ts';
import { recognizeQuantized } from './quantized.ts';
import { appearanceOf, refusalOf, type Recognition } from './recognition.ts';
import { recognizeAdapter, recognizeUnmergedArrays } from './unmerged.ts';

/** What config.json says of the kind of model; whatever else it holds, and fields of other types, say nothing. */
const kindSchema = z.looseObject({ model_type: z.string().optional().catch(undefined) });
type Kind = z.infer<typeof kindSchema>;

/**
 * Refuses by name the checkpoints that are taken for a PaliGemma, or that would be one if they had not been cut or
 * packed; returns for all others, PaliGemma and its relatives among them.
 * @param leaveOut patterns of tensors that a user leaves out by name
 * @throws BadInputError that says what to do instead
 */
export function refuseOther(checkpoint: Checkpoint, leaveOut: readonly string[] = []): void {
  const { path } = checkpoint;
  const appearance = appearanceOf(checkpoint);
  const refuseIf = (recognition: Recognition | undefined) => {
    if (recognition) throw refusalOf(recognition, appearance, path);
  };
  if (checkpoint.format === 'big_vision') {
    refuseIf(recognizeUnmergedArrays(appearance));
    return refuseHalfTree(checkpoint);
  }
  const kind: Kind = kindSchema.safeParse(checkpoint.config).data ?? {};
  const names = new Map([...appearance.tensors.keys()].map((name) => [normalizeName(name), name]));
  refuseIf(recognizeAdapter(appearance));
  const leftover = leftoverTensors(appearance.tensors, path);
  if (leftover) throw leftover;
  refuseGemma3(kind, names, path);
  refuseIf(recognizeQuantized(appearance, path));
  refuseIf(recognizeBuiltOn(appearance, { modelType: checkpoint.modelType, leaveOut }));
  refuseGemma(kind, names, path);
  refuseUnreadable(checkpoint, names);
}

function refuse(code: string, message: string, place: ErrorPlace): never {
  throw new BadInputError(code, message, place);
}

/** A PaliGemma of which some weight has a dtype that the IR lacks. */
function refuseUnreadable({ tensors, unreadable = new Map() }: Checkpoint, names: ReadonlyMap<string, string>): void {
  if (!names.has('multi_modal_projector.linear.weight')) return;
  const relative = relativeOf([...tensors.keys(), ...unreadable.keys()]);
  const [first] = [...unreadable].filter(
    ([name]) => isPaliGemmaTensor(normalizeName(name)) && reasonOf(name, relative) === undefined,
  );
  if (first) throw unreadableTensor(...first);
}

/** Gemma 3 has a projector of its own: a norm and a matrix without a module between (transformers' modeling_gemma3). */
const GEMMA_3 = /^multi_modal_projector\.mm_(?:input_projection_weight|soft_emb_norm)/;

function refuseGemma3({ model_type: type = '' }: Kind, names: ReadonlyMap<string, string>, file: string): void {
  const [, marker] = [...names].find(([name]) => GEMMA_3.test(name)) ?? [];
  const named = /^(?:shieldgemma2|gemma3n?)(?:_|$)/.test(type);
  if (!named && marker === undefined) return;
  const what =
    type === 'shieldgemma2'
      ? 'this is ShieldGemma 2, which is a Gemma 3, not a PaliGemma'
      : `this is ${named ? `a Gemma 3 (config.json says model_type = "${type}")` : 'a Gemma 3'}, not a PaliGemma`;
  refuse('unsupported_family', what, {
    file,
    ...(marker !== undefined && { tensor: marker }),
    hint: 'give a PaliGemma or a PaliGemma 2; Gemma 3 has another image tower and another decoder',
  });
}

const LANGUAGE_MODELS: ReadonlyMap<string, string> = new Map([
  ['gemma', 'Gemma'],
  ['gemma2', 'Gemma 2'],
  ['gemma3_text', 'Gemma 3'],
  ['recurrent_gemma', 'RecurrentGemma'],
  ['shieldgemma', 'ShieldGemma'],
]);

/** A decoder without an image tower: `model.layers.0…`, or PaliGemma's own taken apart. */
function refuseGemma({ model_type: type }: Kind, names: ReadonlyMap<string, string>, file: string): void {
  const all = [...names.keys()];
  if (all.some((name) => /^(?:vision_tower|vision_model|multi_modal_projector|visual|vision)\b/.test(name))) return;
  const layer = all.find((name) => /^(?:language_model\.)?layers\.\d+\.self_attn\.q_proj\.weight$/.test(name));
  if (layer === undefined) return;
  const isGemma2 = all.some((name) => name.endsWith('.pre_feedforward_layernorm.weight'));
  const named =
    type === undefined || type === 'paligemma'
      ? isGemma2
        ? 'Gemma 2'
        : undefined
      : (LANGUAGE_MODELS.get(type) ?? `"${type}"`);
  refuse(
    'unsupported_family',
    `this is ${named === undefined ? 'a language model' : `${named}, a language model`} without an image tower`,
    {
      file,
      tensor: names.get(layer)!,
      hint: 'give a PaliGemma or a PaliGemma 2 (google/paligemma-…, google/paligemma2-…), which is this kind of decoder with an image tower',
    },
  );
}

/** A tree of one tower, or Gemma's own dump: what is missing, and how files are joined. */
function refuseHalfTree({ path, tensors }: Checkpoint): void {
  const { arrays } = modelArrays(tensors);
  const names = [...arrays.keys()];
  const under = (prefix: string) => names.find((name) => name.startsWith(prefix));
  const [img, llm] = [under('img/'), under('llm/')];
  if (img !== undefined && llm !== undefined) return;
  const join = (given: 'img' | 'llm', other: 'img' | 'llm') =>
    `give the file that has the other half, too, each with its selector: ${slashed(path)}:${given} ./other.npz:${other}`;
  if (img !== undefined) {
    const isSiglip = under('txt/') !== undefined;
    refuse(
      'missing_subtree',
      `there is an image tower (img/) and no language model (llm/)${isSiglip ? ': this is SigLIP' : ''}`,
      { file: path, tensor: img, hint: join('img', 'llm') },
    );
  }
  if (llm !== undefined)
    refuse(
      'missing_subtree',
      'there is a language model (llm/) and no image tower (img/): this is Gemma, or half of a PaliGemma',
      { file: path, tensor: llm, hint: join('llm', 'img') },
    );
  const deeper = names.find((name) => /^.+\/img\/embedding\/kernel$/.test(name));
  if (deeper !== undefined)
    refuse('nested_tree', `the model lies under "${deeper.slice(0, -'/img/embedding/kernel'.length)}/"`, {
      file: path,
      tensor: deeper,
      hint: `select it: ${shellWord(`${slashed(path)}:${deeper.slice(0, -'/img/embedding/kernel'.length)}`)}`,
    });
  const gemma = names.find((name) => /^(?:transformer\/)?embedder\/input_embedding$/.test(name));
  if (gemma !== undefined)
    refuse('unsupported_family', 'this is Gemma, a language model without an image tower', {
      file: path,
      tensor: gemma,
      hint: 'give a PaliGemma or a PaliGemma 2 .npz, which has img/ and llm/',
    });
}

/** As selectors need it. */
function slashed(path: string): string {
  return path.replaceAll('\\', '/');
}
