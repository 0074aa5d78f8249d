import { expect, test } from 'vitest';
import type { SidecarName } from '../checkpoints/checkpoint.ts';
import { preprocessorConfigFile } from './preprocessor_config.ts';
import { SHAPES_METADATA, sidecarOf } from './testing/shapes.ts';

const make = (fields?: object, name: SidecarName = 'preprocessor_config.json') => {
  const { value, notes } = preprocessorConfigFile(new Map(fields ? [[name, sidecarOf(fields, `dir/${name}`)]] : []), SHAPES_METADATA);
  return { text: value.text, fields: JSON.parse(value.text) as Record<string, unknown>, notes };
};
const complete = make().fields;

test('derived: flat, with everything that the client reads', () => {
  expect(complete).toEqual({
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

test('a complete file is carried over as it is, spaces and all', () => {
  const text = `${JSON.stringify({ ...complete, do_convert_rgb: null, image_processor_type: 'SiglipImageProcessorFast' }, null, 7)}\n\n`;
  const { value, notes } = preprocessorConfigFile(new Map([['preprocessor_config.json', sidecarOf(text)]]), SHAPES_METADATA);
  expect(value.text).toBe(text);
  expect(notes).toEqual([]);
});

test('a mean of its own is kept', () => expect(make({ ...complete, image_mean: [0.4, 0.5, 0.6] }).fields['image_mean']).toEqual([0.4, 0.5, 0.6]));

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
  expect(fields).toEqual({ ...complete, do_pad: false });
  expect(notes).toEqual(['preprocessor_config.json: left out do_center_crop and crop_size, which SiglipImageProcessor ignores and the client would obey.']);
});

test('Hugging Face’s defaults are written out where the client has others', () => {
  const { do_normalize: _1, resample: _2, ...rest } = complete;
  const { fields, notes } = make(rest);
  expect(fields).toEqual(complete);
  expect(notes[0]).toContain('added do_normalize and resample');
});

test('the one file of transformers 5 is taken apart', () => {
  const { fields, notes } = make({ processor_class: 'PaliGemmaProcessor', image_processor: { ...complete, image_mean: [0.1, 0.2, 0.3] } }, 'processor_config.json');
  expect(fields).toEqual({ ...complete, image_mean: [0.1, 0.2, 0.3] });
  expect(notes).toEqual(['preprocessor_config.json: taken out of processor_config.json, which the client does not read.']);
});

test.each([
  ['image_mean', [0.5]],
  ['resample', 'bicubic'],
  ['do_normalize', 1],
])('%s %j is refused by name', (key, value) => {
  expect(() => make({ ...complete, [key]: value })).toThrow(expect.objectContaining({ code: 'bad_sidecar', message: expect.stringContaining(key) as string, place: expect.objectContaining({ file: 'dir/preprocessor_config.json' }) as object }));
});
