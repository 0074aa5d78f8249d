import { expect, test } from 'vitest';
import { backboneConfig } from './backbone_config.ts';

const PALIGEMMA = { model_type: 'paligemma', text_config: { hidden_size: 8 } };

test('a config that is nobody’s backbone stays as it is', () => {
  for (const config of [PALIGEMMA, {}, { ...PALIGEMMA, vlm_config: null }, { vlm_config: [PALIGEMMA] }])
    expect(backboneConfig(config)).toBe(config);
});

test('ColPali: the backbone’s fields come before those of the same name', () => {
  expect(
    backboneConfig({
      model_type: 'colpali',
      embedding_dim: 128,
      text_config: { hidden_size: 9 },
      vlm_config: PALIGEMMA,
    }),
  ).toEqual({ ...PALIGEMMA, embedding_dim: 128 });
});

test('π0: the expert’s config is left out', () => {
  expect(
    backboneConfig({ model_type: 'pi0', chunk_size: 50, dit_config: { hidden_size: 4 }, vlm_config: PALIGEMMA }),
  ).toEqual({ ...PALIGEMMA, chunk_size: 50 });
});
