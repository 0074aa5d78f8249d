import { z } from 'zod';
import type { ProgramMetadata } from '../../ir/graph.ts';
import { checkFields, jsonFile, listed, setFields, type ClientFile, type WithNotes } from './client_file.ts';
import { isFields, parseSidecar, type JsonFields, type Sidecar, type Sidecars } from './sidecar.ts';

const NAME = 'preprocessor_config.json';
const perChannel = z.union([z.number(), z.array(z.number()).length(3)]);
const flag = z.boolean().nullish();

const schema = z.looseObject({
  do_resize: flag,
  do_rescale: flag,
  do_normalize: flag,
  do_convert_rgb: flag,
  image_mean: perChannel.nullish(),
  image_std: perChannel.nullish(),
  rescale_factor: z.number().positive().nullish(),
  resample: z.int().min(0).max(5).nullish(),
});

/** Hugging Face's SiglipImageProcessor where the file says nothing; the client's own defaults are others. 3 is bicubic. */
const DEFAULTS = { do_resize: true, do_rescale: true, do_normalize: true, rescale_factor: 1 / 255, resample: 3, image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] };

/** What the client obeys, but SiglipImageProcessor does not know: traces of other processors. */
const FOREIGN = ['do_center_crop', 'crop_size', 'do_thumbnail', 'do_pad', 'pad_size', 'do_crop_margin', 'do_flip_channel_order', 'size_divisibility', 'size_divisor', 'min_pixels', 'max_pixels', 'image_size'];

/** preprocessor_config.json, flat: the checkpoint's own (or the part of its processor_config.json), or derived from the model's sizes. */
export function preprocessorConfigFile(sidecars: Sidecars, metadata: ProgramMetadata): WithNotes<ClientFile> {
  const { fields: own, original, from } = ownFields(sidecars);
  const source = own ?? {};
  if (own) checkFields(schema, own, from!);
  const foreign = FOREIGN.filter((key) => Object.hasOwn(source, key) && source[key] !== null && source[key] !== false);
  const kept = Object.fromEntries(Object.entries(source).filter(([key]) => !foreign.includes(key)));
  const set = setFields(kept, {
    ...Object.fromEntries(Object.entries(DEFAULTS).filter(([key]) => (kept[key] ?? null) === null)),
    processor_class: 'PaliGemmaProcessor',
    // The client strips `Fast` itself.
    image_processor_type: kept['image_processor_type'] === 'SiglipImageProcessorFast' ? 'SiglipImageProcessorFast' : 'SiglipImageProcessor',
    image_seq_length: metadata.imageTokens,
    size: sameSize(kept['size'], metadata.imageSize) ? kept['size']! : { height: metadata.imageSize, width: metadata.imageSize },
  });
  const untouched = original !== undefined && set.added.length + set.changed.length + foreign.length === 0;
  const notes = own
    ? [
        ...(original ? [] : [`${NAME}: taken out of processor_config.json, which the client does not read.`]),
        ...(set.added.length > 0 ? [`${NAME}: added ${listed(set.added)}, where the client's defaults are not Hugging Face's.`] : []),
        ...(set.changed.length > 0 ? [`${NAME}: corrected ${listed(set.changed)} to fit the model.`] : []),
        ...(foreign.length > 0 ? [`${NAME}: left out ${listed(foreign)}, which SiglipImageProcessor ignores and the client would obey.`] : []),
      ]
    : [`${NAME}: derived from the model's sizes, as the checkpoint has none: bicubic to ${metadata.imageSize}x${metadata.imageSize} pixels, mean and deviation 0.5, as Hugging Face's processor does (big_vision resizes bilinearly).`];
  return { value: jsonFile(NAME, set.fields, untouched ? original : undefined), notes };
}

function ownFields(sidecars: Sidecars): { fields?: JsonFields; original?: Sidecar; from?: string } {
  const original = sidecars.get('preprocessor_config.json');
  if (original) return { fields: parseSidecar(original), original, from: original.file };
  // transformers 5 saves one file for the whole processor.
  const processor = sidecars.get('processor_config.json');
  const fields = processor && parseSidecar(processor)['image_processor'];
  return processor && isFields(fields) ? { fields, from: processor.file } : {};
}

function sameSize(size: JsonFields[string] | undefined, side: number): boolean {
  return isFields(size) && Object.keys(size).length === 2 && size['height'] === side && size['width'] === side;
}
