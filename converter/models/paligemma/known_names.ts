import { VARIANTS } from './config.ts';
import { canonicalNames } from './hugging_face.ts';
import { unusedReason } from './hugging_face_names.ts';

const anyLayer = (name: string): string => name.replace(/\.layers\.\d+\./, '.layers.*.');

/** Names of both generations and of ColPali's head, with `*` for the number of a layer. */
const NAMES: ReadonlySet<string> = new Set(
  [VARIANTS['paligemma-3b-224'], VARIANTS['paligemma2-3b-224']].flatMap((config) =>
    [...canonicalNames({ ...config!, retrievalWidth: 128 }).keys()].map(anyLayer),
  ),
);

/** Whether a tensor of this normalised name is one of PaliGemma's, or a relative's head, whatever the model's sizes. */
export function isPaliGemmaTensor(normalized: string): boolean {
  return NAMES.has(anyLayer(normalized)) || unusedReason(normalized) !== undefined;
}
