import { UsageError } from '../../errors.ts';
import type { Inference, ModelOptions, Reference } from '../family.ts';
import type { PaliGemmaConfig } from './config.ts';

/** How the graphs follow a reference implementation where the two differ on purpose (spec A.4–A.6). */
export interface Behaviour {
  /** Logits are cap · tanh(logits / cap). Neither reference does so to the logits of a whole text (spec A.5). */
  readonly finalSoftcap: boolean;
  /** Hugging Face lets Gemma 2's even layers slide past the prompt; big_vision has no window (spec A.6). */
  readonly slidingWindow: boolean;
  /**
   * big_vision computes √D times an embedding and 1 + w of a norm in the dtype of the checkpoint; Hugging Face, loaded
   * in f32, in f32 (spec A.4, H.2).
   */
  readonly roundsLikeStorage: boolean;
}

/** Hugging Face's, eager attention, loaded in f32. */
export const HUGGING_FACE: Behaviour = { finalSoftcap: false, slidingWindow: true, roundsLikeStorage: false };
/** big_vision's `Model.__call__`. */
export const BIG_VISION: Behaviour = { finalSoftcap: false, slidingWindow: false, roundsLikeStorage: true };

const BEHAVIOURS: Readonly<Record<Reference, Behaviour>> = { huggingface: HUGGING_FACE, bigvision: BIG_VISION };
const SPELLED: Readonly<Record<Reference, string>> = { huggingface: 'Hugging Face', bigvision: 'big_vision' };

/** @throws UsageError when something is switched on that the model does not have. */
export function chooseBehaviour(
  { reference = 'huggingface', finalSoftcap = 'auto', slidingWindow = 'auto' }: ModelOptions,
  { text }: PaliGemmaConfig,
): { behaviour: Behaviour; inferences: readonly Inference[] } {
  const own = BEHAVIOURS[reference];
  const decide = (
    flag: string,
    choice: 'auto' | 'on' | 'off',
    field: string,
    auto: boolean,
    has: number,
  ): { on: boolean; inferences: readonly Inference[] } => {
    if (choice === 'on' && has === 0)
      throw new UsageError('no_such_feature', `${flag} on: the checkpoint is of a model that has none`, {
        hint: `leave ${flag} out: only PaliGemma 2 has it`,
      });
    const on = has > 0 && (choice === 'auto' ? auto : choice === 'on');
    const from = choice === 'auto' ? `${flag} auto: as ${SPELLED[reference]} computes` : `${flag} ${choice}`;
    return { on, inferences: has > 0 ? [{ field, value: on ? has : 'off', from }] : [] };
  };
  const cap = decide('--final-softcap', finalSoftcap, 'logits softcap', own.finalSoftcap, text.finalSoftcap);
  const window = decide(
    '--sliding-window',
    slidingWindow,
    'sliding window',
    own.slidingWindow,
    text.slidingLayers.length > 0 ? text.slidingWindow : 0,
  );
  return {
    behaviour: { ...own, finalSoftcap: cap.on, slidingWindow: window.on },
    inferences: [...cap.inferences, ...window.inferences],
  };
}
