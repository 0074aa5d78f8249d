import { z } from 'zod';
import type { ProgramMetadata } from '../../ir/graph.ts';
import { BadInputError } from '../errors.ts';
import type { PixelMode } from '../../backends/client/images/processor.ts';
import type { ClientFile, WithNotes } from '../../backends/client_files.ts';
import { checkFields, jsonFile, listed } from './client_file.ts';
import { codeNotes, withoutCode } from './remote_code.ts';
import { isFields, parseSidecar, type JsonFields, type Sidecars } from './sidecar.ts';

const NAME = 'preprocessor_config.json';
const perChannel = z.union([z.number(), z.array(z.number()).length(3)]);
const flag = z.boolean().nullish();

const schema = z.looseObject({
  do_resize: flag,
  do_rescale: flag,
  do_normalize: flag,
  do_convert_rgb: flag,
  image_mean: perChannel.nullish(),
  image_std: perChannel.refine((value) => ![value].flat().includes(0), 'nothing can be divided by 0').nullish(),
  rescale_factor: z.number().positive().nullish(),
  resample: z.int().min(0).max(5).nullish(),
});

/** Hugging Face's SiglipImageProcessor where the file says nothing; the client's own defaults are others. */
const DEFAULTS = {
  do_normalize: true,
  do_rescale: true,
  do_resize: true,
  image_mean: 0.5,
  image_std: 0.5,
  rescale_factor: 1 / 255,
};
/** Pillow's numbers for how an image is resized. */
const RESAMPLE = { bilinear: 2, bicubic: 3 } as const;
const RESAMPLE_NAMES = ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'];

/** What the client obeys, but SiglipImageProcessor does not know: traces of other processors. */
const FOREIGN = [
  'do_center_crop',
  'crop_size',
  'do_thumbnail',
  'do_pad',
  'pad_size',
  'do_crop_margin',
  'do_flip_channel_order',
  'size_divisibility',
  'size_divisor',
  'min_pixels',
  'max_pixels',
  'image_size',
];

/**
 * preprocessor_config.json, flat and in canonical form, whether the checkpoint has that file, transformers 5's
 * processor_config.json with an `image_processor` inside, or neither. It has what the client reads, and only that, in
 * the order of names. The file's own steps, mean, deviation, scale and resampling are kept; size and count of image
 * tokens are the model's; the reference `bigvision` resizes bilinearly whatever the file says (spec, B.6).
 * @throws BadInputError for a value that cannot be.
 */
export function preprocessorConfigFile(
  sidecars: Sidecars,
  { imageSize, imageTokens }: ProgramMetadata,
  reference: PixelMode = 'huggingface',
): WithNotes<ClientFile> {
  const { fields: own, nested, from } = ownFields(sidecars);
  const { fields: source, left } = withoutCode(own ?? {});
  if (own) checkFields(schema, own, from!);
  const given = (key: string) => source[key] ?? null;
  const withDefault = (key: keyof typeof DEFAULTS) => given(key) ?? DEFAULTS[key];
  const channels = (value: JsonFields[string]) => (Array.isArray(value) ? value : [value, value, value]);
  const wanted = reference === 'bigvision' ? RESAMPLE.bilinear : undefined;
  const resample = wanted ?? given('resample') ?? RESAMPLE.bicubic;
  const model: JsonFields = {
    image_processor_type: 'SiglipImageProcessor',
    image_seq_length: imageTokens,
    processor_class: 'PaliGemmaProcessor',
    size: { height: imageSize, width: imageSize },
  };
  const fields: JsonFields = {
    do_convert_rgb: given('do_convert_rgb') ?? true,
    do_normalize: withDefault('do_normalize'),
    do_rescale: withDefault('do_rescale'),
    do_resize: withDefault('do_resize'),
    image_mean: channels(withDefault('image_mean')),
    image_processor_type: model['image_processor_type']!,
    image_seq_length: imageTokens,
    image_std: channels(withDefault('image_std')),
    processor_class: model['processor_class']!,
    resample,
    rescale_factor: withDefault('rescale_factor'),
    size: model['size']!,
  };
  if (!own) {
    const how = reference === 'bigvision' ? 'bilinear' : 'bicubic';
    const whose =
      reference === 'bigvision'
        ? 'big_vision does (Hugging Face’s processor resizes bicubically)'
        : 'Hugging Face’s processor does (big_vision resizes bilinearly: --reference bigvision)';
    return {
      value: jsonFile(NAME, fields),
      notes: [
        `${NAME}: derived from the model's sizes, as the checkpoint has none: ${how} to ${imageSize}x${imageSize} pixels, mean and deviation 0.5, as ${whose}.`,
      ],
    };
  }
  const added = [...Object.keys(DEFAULTS), ...(wanted === undefined ? ['resample'] : [])].filter(
    (key) => given(key) === null,
  );
  const changed = Object.entries(model).flatMap(([key, value]) =>
    given(key) === null || says(key, given(key), value) ? [] : [key],
  );
  const foreign = FOREIGN.filter((key) => given(key) !== null && given(key) !== false);
  const overridden = wanted !== undefined && given('resample') !== wanted;
  const notes = [
    ...(nested ? [`${NAME}: taken out of processor_config.json, which the client does not read.`] : []),
    ...(added.length > 0
      ? [`${NAME}: added ${listed(added.toSorted())}, where the client's defaults are not Hugging Face's.`]
      : []),
    ...(changed.length > 0 ? [`${NAME}: corrected ${listed(changed)} to fit the model.`] : []),
    ...(foreign.length > 0
      ? [`${NAME}: left out ${listed(foreign)}, which SiglipImageProcessor ignores and the client would obey.`]
      : []),
    ...codeNotes(NAME, left),
    ...(overridden
      ? [
          `${NAME}: resample ${given('resample') === null ? '' : `was ${RESAMPLE_NAMES[Number(given('resample'))]}, and `}is bilinear now, as big_vision resizes (--reference bigvision).`,
        ]
      : []),
  ];
  return { value: jsonFile(NAME, fields), notes };
}

/** Whether the file's value is the model's in other words. */
function says(key: string, own: JsonFields[string], value: JsonFields[string]): boolean {
  if (key === 'image_processor_type') return typeof own === 'string' && /^SiglipImageProcessor(Fast|Pil)?$/.test(own);
  if (key === 'size')
    return (
      isFields(own) &&
      isFields(value) &&
      Object.keys(own).length === 2 &&
      own['height'] === value['height'] &&
      own['width'] === value['width']
    );
  return own === value;
}

/** transformers 5 saves one file for the whole processor, and, where both are there, reads that one. */
function ownFields(sidecars: Sidecars): { fields?: JsonFields; nested?: boolean; from?: string } {
  const processor = sidecars.get('processor_config.json');
  const inside = processor && (parseSidecar(processor)['image_processor'] ?? null);
  if (processor && isFields(inside ?? undefined))
    return { fields: inside as JsonFields, nested: true, from: processor.file };
  if (processor && inside !== null)
    throw new BadInputError('bad_sidecar', 'image_processor: expected an object', {
      file: processor.file,
      hint: 'take the file of the original model again',
    });
  const flat = sidecars.get(NAME);
  return flat ? { fields: parseSidecar(flat), from: flat.file } : {};
}
