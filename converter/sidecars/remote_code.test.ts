import { expect, test } from 'vitest';
import { SHAPES_METADATA } from '../../backends/testing/shapes.ts';
import { configFields } from './config.ts';
import { generationConfigFile } from './generation_config.ts';
import { preprocessorConfigFile } from './preprocessor_config.ts';
import { withoutCode } from './remote_code.ts';
import { sidecarOf } from './testing/sidecar_of.ts';

const CODE = {
  auto_map: { AutoConfig: 'evil.Config' },
  trust_remote_code: true,
  custom_pipelines: { x: { impl: 'evil.Pipeline' } },
};

test('code is left out wherever it stands, and told; what says that there is none is left out silently', () => {
  expect(withoutCode({ a: 1, ...CODE, text_config: { b: [{ custom_generate: 'org/evil', c: 2 }] } })).toEqual({
    fields: { a: 1, text_config: { b: [{ c: 2 }] } },
    left: ['auto_map', 'trust_remote_code', 'custom_pipelines', 'custom_generate'],
  });
  expect(withoutCode({ auto_map: null, trust_remote_code: false, a: [] })).toEqual({ fields: { a: [] }, left: [] });
});

test('no file of a bundle has any, and each says what it left out', () => {
  const config = configFields({ ...CODE, text_config: CODE }, SHAPES_METADATA);
  const generation = generationConfigFile(
    new Map([['generation_config.json', sidecarOf({ max_new_tokens: 3, ...CODE, custom_generate: 'org/evil' })]]),
    SHAPES_METADATA,
  );
  const processor = preprocessorConfigFile(
    new Map([['preprocessor_config.json', sidecarOf({ ...CODE, image_processor_type: 'SiglipImageProcessor' })]]),
    SHAPES_METADATA,
  );
  for (const text of [JSON.stringify(config.value), generation.value.text, processor.value.text])
    expect(text).not.toMatch(/evil|auto_map|trust_remote/);
  for (const { notes } of [config, generation, processor])
    expect(notes.join('\n')).toContain('left out auto_map, trust_remote_code, custom_pipelines');
});
