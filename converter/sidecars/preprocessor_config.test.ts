import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { SidecarName } from '../checkpoints/checkpoint.ts';
import type { PixelMode } from '../../backends/client/images/processor.ts';
import { preprocessorConfigFile } from './preprocessor_config.ts';
import type { Sidecar } from './sidecar.ts';
import { SHAPES_METADATA } from '../../backends/testing/shapes.ts';
import { sidecarOf } from './testing/sidecar_of.ts';

const make = (
  fields?: object | string,
  name: SidecarName = 'preprocessor_config.json',
  reference?: PixelMode,
  metadata = SHAPES_METADATA,
) => {
  const { value, notes } = preprocessorConfigFile(
    new Map(fields === undefined ? [] : [[name, sidecarOf(fields, `dir/${name}`)]]),
    metadata,
    reference,
  );
  return { text: value.text, fields: JSON.parse(value.text) as Record<string, unknown>, notes };
};
const complete = make().fields;

test('derived: flat, with everything that the client reads', () => {
  expect(complete).toEqual({
    do_convert_rgb: true,
    do_resize: true,
    do_rescale: true,
    do_normalize: true,
    rescale_factor: 1 / 255,
    resample: 3,
    image_mean: [0.5, 0.5, 0.5],
    image_std: [0.5, 0.5, 0.5],
    processor_class: 'PaliGemmaProcessor',
    image_processor_type: 'SiglipImageProcessor',
    image_seq_length: 64,
    size: { height: 112, width: 112 },
  });
  expect(make().notes).toHaveLength(1);
});

describe('what says the same gives the same bytes, with no word but where it lay', () => {
  const fixture = (path: string) => readFileSync(new URL(`../../fixtures/${path}`, import.meta.url), 'utf8');
  const canonical = `${JSON.stringify(Object.fromEntries(Object.entries(complete).toSorted(([a], [b]) => (a < b ? -1 : 1))), null, 2)}\n`;
  const taken = ['preprocessor_config.json: taken out of processor_config.json, which the client does not read.'];
  test.each<[string, object | string | undefined, SidecarName, unknown]>([
    ['none', undefined, 'preprocessor_config.json', [expect.stringContaining('derived')]],
    ['the fixture’s', fixture('shapes/hf/preprocessor_config.json'), 'preprocessor_config.json', []],
    [
      'transformers 5’s image processor',
      fixture('processors/image_processor/preprocessor_config.json'),
      'preprocessor_config.json',
      [],
    ],
    [
      'transformers 5’s processor',
      fixture('processors/transformers5/processor_config.json'),
      'processor_config.json',
      taken,
    ],
    ['itself', canonical, 'preprocessor_config.json', []],
    [
      'with one mean for all channels',
      { ...complete, image_mean: 0.5, image_std: 0.5 },
      'preprocessor_config.json',
      [],
    ],
  ])('%s', (_, fields, name, notes) => {
    const made = make(fields, name);
    expect(made.text).toBe(canonical);
    expect(made.notes).toEqual(notes);
  });

  // The fields of google/paligemma-3b-pt-224 and google/paligemma2-3b-pt-448 as transformers 4 wrote them.
  const hub = (side: number) => ({
    _valid_processor_keys: [
      'images',
      'do_resize',
      'size',
      'resample',
      'do_rescale',
      'rescale_factor',
      'do_normalize',
      'image_mean',
      'image_std',
      'return_tensors',
      'data_format',
      'input_data_format',
      'do_convert_rgb',
    ],
    do_convert_rgb: null,
    do_normalize: true,
    do_rescale: true,
    do_resize: true,
    image_mean: [0.5, 0.5, 0.5],
    image_processor_type: 'SiglipImageProcessor',
    image_seq_length: (side / 14) ** 2,
    image_std: [0.5, 0.5, 0.5],
    processor_class: 'PaliGemmaProcessor',
    resample: 3,
    rescale_factor: 0.00392156862745098,
    size: { height: side, width: side },
  });
  const fast = {
    crop_size: null,
    data_format: 'channels_first',
    default_to_square: true,
    device: null,
    disable_grouping: null,
    do_center_crop: null,
    input_data_format: null,
    return_tensors: null,
    image_processor_type: 'SiglipImageProcessorFast',
  };
  test.each([
    [224, 'paligemma'],
    [448, 'paligemma2'],
    [896, 'paligemma2'],
  ])('files of the Hub at %i pixels, of slow and fast processors', (side, family) => {
    const metadata = { ...SHAPES_METADATA, family, imageSize: side, imageTokens: (side / 14) ** 2 };
    const derived = make(undefined, undefined, undefined, metadata).text;
    for (const fields of [hub(side), { ...hub(side), ...fast }]) {
      expect(make(fields, 'preprocessor_config.json', undefined, metadata)).toMatchObject({ text: derived, notes: [] });
      expect(
        make(
          { image_processor: fields, processor_class: 'PaliGemmaProcessor' },
          'processor_config.json',
          undefined,
          metadata,
        ),
      ).toMatchObject({ text: derived, notes: taken });
    }
  });
});

describe('--reference bigvision resizes bilinearly', () => {
  const bilinear = `${JSON.stringify({ ...JSON.parse(make().text), resample: 2 }, null, 2)}\n`;
  test('where there is no file', () => {
    const { text, notes } = make(undefined, undefined, 'bigvision');
    expect(text).toBe(bilinear);
    expect(notes).toEqual([
      "preprocessor_config.json: derived from the model's sizes, as the checkpoint has none: bilinear to 112x112 pixels, mean and deviation 0.5, as big_vision does (Hugging Face’s processor resizes bicubically).",
    ]);
  });

  test.each([
    [
      3,
      [
        'preprocessor_config.json: resample was bicubic, and is bilinear now, as big_vision resizes (--reference bigvision).',
      ],
    ],
    [null, ['preprocessor_config.json: resample is bilinear now, as big_vision resizes (--reference bigvision).']],
    [2, []],
  ])('where the file says %j', (resample, notes) => {
    expect(make({ ...complete, resample }, 'preprocessor_config.json', 'bigvision')).toMatchObject({
      text: bilinear,
      notes,
    });
    expect(make({ image_processor: { ...complete, resample } }, 'processor_config.json', 'bigvision')).toMatchObject({
      text: bilinear,
    });
  });

  test('and keeps what else the file sets', () =>
    expect(
      make({ ...complete, image_mean: [0.4, 0.5, 0.6] }, 'preprocessor_config.json', 'bigvision').fields,
    ).toMatchObject({ image_mean: [0.4, 0.5, 0.6], resample: 2 }));
});

test('values that the file sets are kept', () => {
  const own = {
    image_mean: [0.4, 0.5, 0.6],
    image_std: [1, 2, 3],
    resample: 1,
    rescale_factor: 1,
    do_rescale: false,
    do_resize: false,
    do_normalize: false,
    do_convert_rgb: false,
  };
  expect(make({ ...complete, ...own })).toMatchObject({ fields: { ...complete, ...own }, notes: [] });
});

test('where both files are there, the processor’s own comes first, as in transformers 5', () => {
  const sidecars = new Map<SidecarName, Sidecar>([
    ['preprocessor_config.json', sidecarOf({ ...complete, resample: 2 })],
    ['processor_config.json', sidecarOf({ image_processor: { ...complete, resample: 1 } })],
  ]);
  expect(JSON.parse(preprocessorConfigFile(sidecars, SHAPES_METADATA).value.text)).toMatchObject({ resample: 1 });
  sidecars.set('processor_config.json', sidecarOf({ image_seq_length: 64, processor_class: 'PaliGemmaProcessor' }));
  expect(JSON.parse(preprocessorConfigFile(sidecars, SHAPES_METADATA).value.text)).toMatchObject({ resample: 2 });
  sidecars.set('processor_config.json', sidecarOf({ image_processor: 'SiglipImageProcessor' }));
  expect(() => preprocessorConfigFile(sidecars, SHAPES_METADATA)).toThrow(/image_processor: expected an object/);
});

test.each([
  ['size', 448],
  ['size', { shortest_edge: 112 }],
  ['size', { height: 224, width: 224 }],
  ['image_seq_length', 256],
  ['processor_class', 'SiglipProcessor'],
])('%s %j is corrected to fit the model', (key, value) => {
  const { fields, notes } = make({ ...complete, [key]: value });
  expect(fields).toEqual(complete);
  expect(notes).toEqual([`preprocessor_config.json: corrected ${key} to fit the model.`]);
});

test('steps of other processors, which the client would obey, are left out', () => {
  const { fields, notes } = make({ ...complete, do_center_crop: true, crop_size: 100, do_pad: false });
  expect(fields).toEqual(complete);
  expect(notes).toEqual([
    'preprocessor_config.json: left out do_center_crop and crop_size, which SiglipImageProcessor ignores and the client would obey.',
  ]);
});

test('Hugging Face’s defaults are written out where the client has others', () => {
  const { do_normalize: _1, resample: _2, ...rest } = complete;
  const { fields, notes } = make(rest);
  expect(fields).toEqual(complete);
  expect(notes[0]).toContain('added do_normalize and resample');
});

test('the one file of transformers 5 is taken apart', () => {
  const { fields, notes } = make(
    { processor_class: 'PaliGemmaProcessor', image_processor: { ...complete, image_mean: [0.1, 0.2, 0.3] } },
    'processor_config.json',
  );
  expect(fields).toEqual({ ...complete, image_mean: [0.1, 0.2, 0.3] });
  expect(notes).toEqual([
    'preprocessor_config.json: taken out of processor_config.json, which the client does not read.',
  ]);
});

test.each([
  ['image_mean', [0.5]],
  ['resample', 'bicubic'],
  ['do_normalize', 1],
])('%s %j is refused by name', (key, value) => {
  expect(() => make({ ...complete, [key]: value })).toThrow(
    expect.objectContaining({
      code: 'bad_sidecar',
      message: expect.stringContaining(key) as string,
      place: expect.objectContaining({ file: 'dir/preprocessor_config.json' }) as object,
    }),
  );
});
