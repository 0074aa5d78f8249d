import { z } from 'zod';
import { LeaveOut } from './ledger/unaccounted.ts';
import { normalizeName, relativeOf } from './paligemma/hugging_face_names.ts';
import { isPaliGemmaTensor } from './paligemma/known_names.ts';
import type { Appearance, Recognition } from './recognition.ts';

/** Kinds of model that are a PaliGemma, or hold one whole whose tensors are converted as they are. */
const KNOWN_TYPES = /^(?:paligemma2?|colpali|pi0\w*)$/;
const KNOWN_CLASSES = /^(?:PaliGemma(?:ForConditionalGeneration|Model)|(?:Col|Bi)Pali\w*|PI0\w*)$/i;
const PROJECTOR = 'multi_modal_projector.linear.weight';

const schema = z.looseObject({
  model_type: z.string().optional().catch(undefined),
  architectures: z.array(z.string()).optional().catch(undefined),
});

/**
 * Another architecture on a PaliGemma as its backbone: config.json names another kind of model and there are tensors
 * that PaliGemma has not, or a PaliGemma lies under a name that no known relative gives it. What such a model computes
 * is not what its backbone computes.
 * @param options `modelType` as config.json of the whole model states it, default that of the vision-language model;
 * `leaveOut`, patterns of tensors that a user leaves out by name: those are no reason
 */
export function recognizeBuiltOn(
  { tensors, config }: Appearance,
  { modelType, leaveOut = [] }: { readonly modelType?: string | undefined; readonly leaveOut?: readonly string[] } = {},
): Recognition | undefined {
  const names = [...tensors.keys()];
  const normalized = names.map(normalizeName);
  const nested = normalized.findIndex((name) => name.endsWith(`.${PROJECTOR}`));
  const { model_type, architectures = [] } = schema.safeParse(config).data ?? {};
  const type = modelType ?? model_type;
  const stated =
    type !== undefined && !KNOWN_TYPES.test(type)
      ? `model_type = "${type}"`
      : architectures.length > 0 && !architectures.some((name) => KNOWN_CLASSES.test(name))
        ? `architectures = ["${architectures[0]}"]`
        : undefined;
  if (!normalized.includes(PROJECTOR)) {
    if (nested === -1) return undefined;
    const prefix = names[nested]!.slice(0, -PROJECTOR.length);
    return {
      code: 'unsupported_family',
      message: `this is another model${stated === undefined ? '' : ` (config.json says ${stated})`}, with a PaliGemma under "${prefix}"`,
      tensor: names[nested]!,
      hint: `to convert the PaliGemma alone, save it by itself in Python: model.${prefix.replace(/\.$/, '')}.save_pretrained(out)`,
    };
  }
  if (stated === undefined || relativeOf(names) === 'pi0') return undefined;
  const asked = new LeaveOut(leaveOut);
  const own = names.filter((name, i) => !isPaliGemmaTensor(normalized[i]!) && !asked.has(name));
  if (own.length === 0) return undefined;
  const shown = own.slice(0, 3).map((name) => `"${name}"`);
  return {
    code: 'unsupported_family',
    message: `this is another model on a PaliGemma: config.json says ${stated}, and ${own.length === 1 ? 'a tensor is' : `${own.length} tensors are`} none of PaliGemma’s (${shown.join(', ')}${own.length > 3 ? ', …' : ''})`,
    tensor: own[0]!,
    hint: 'give the PaliGemma that it was built on; what this model computes with its own tensors is not converted. To convert the PaliGemma in it alone, leave them out by name, with --leave-out',
  };
}
