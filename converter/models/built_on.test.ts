import { describe, expect, test } from 'vitest';
import type { SeenTensor } from '../checkpoints/leftover_tensors.ts';
import { recognizeBuiltOn } from './built_on.ts';

const PALIGEMMA = [
  'language_model.model.embed_tokens.weight',
  'language_model.model.layers.7.self_attn.q_proj.weight',
  'language_model.model.layers.7.pre_feedforward_layernorm.weight',
  'language_model.lm_head.weight',
  'vision_tower.vision_model.encoder.layers.3.mlp.fc1.bias',
  'vision_tower.vision_model.embeddings.position_ids',
  'vision_tower.vision_model.head.probe',
  'multi_modal_projector.linear.weight',
];
const SPATIAL = ['spatial_embed_tokens.weight', 'position_embedding_3d.position_embedding_head.0.weight'];

const recognize = (names: readonly string[], config?: unknown, modelType?: string, leaveOut: readonly string[] = []) =>
  recognizeBuiltOn(
    {
      tensors: new Map<string, SeenTensor>(names.map((name) => [name, { dtype: 'f32', shape: [4] }])),
      config,
      metadata: new Map(),
    },
    { modelType, leaveOut },
  );

describe('another architecture on a PaliGemma', () => {
  test.each<[string, readonly string[], unknown, string | undefined, RegExp]>([
    [
      'SpatialVLA',
      [...PALIGEMMA, ...SPATIAL],
      { model_type: 'spatialvla', architectures: ['SpatialVLAForConditionalGeneration'] },
      undefined,
      /config\.json says model_type = "spatialvla", and 2 tensors are none of PaliGemma’s \("spatial_embed_tokens\.weight", /,
    ],
    [
      'by its class alone',
      [...PALIGEMMA, 'score.weight'],
      { model_type: 'paligemma', architectures: ['PaliGemmaForSequenceClassification'] },
      undefined,
      /architectures = \["PaliGemmaForSequenceClassification"\], and a tensor is none of PaliGemma’s \("score\.weight"\)$/,
    ],
    [
      'by its config around the backbone’s',
      [...PALIGEMMA.map((name) => `vlm.${name}`), 'action_head.weight'],
      { model_type: 'paligemma' },
      'my_vla',
      /model_type = "my_vla"/,
    ],
    [
      'within the decoder',
      [...PALIGEMMA, 'language_model.model.layers.7.cross_attn.q_proj.weight'],
      { model_type: 'other' },
      undefined,
      /cross_attn/,
    ],
  ])('%s', (_, names, config, modelType, message) => {
    const found = recognize(names, config, modelType);
    expect(found).toMatchObject({ code: 'unsupported_family', message: expect.stringMatching(message) as unknown });
    expect(found?.message).toMatch(/^this is another model on a PaliGemma/);
    expect(found?.hint).toMatch(/give the PaliGemma that it was built on/);
  });

  test('its own tensors are no reason when they are left out by name, all of them', () => {
    const names = [...PALIGEMMA, ...SPATIAL];
    const leftOut = (...patterns: readonly string[]) =>
      recognize(names, { model_type: 'spatialvla' }, undefined, patterns);
    expect(leftOut('spatial_*')?.tensor).toBe(SPATIAL[1]);
    expect(leftOut('spatial_*', 'position_embedding_3d.*')).toBeUndefined();
  });

  test('a PaliGemma under a name that no relative gives it', () => {
    const found = recognize([...PALIGEMMA.map((name) => `policy.backbone.${name}`), 'policy.head.weight'], {
      type: 'vla',
    });
    expect(found?.message).toBe('this is another model, with a PaliGemma under "policy.backbone."');
    expect(found?.tensor).toBe('policy.backbone.multi_modal_projector.linear.weight');
    expect(found?.hint).toMatch(/model\.policy\.backbone\.save_pretrained\(out\)/);
  });
});

describe('a PaliGemma, or a relative', () => {
  test.each<[string, readonly string[], unknown, string | undefined]>([
    ['of another name with nothing of its own', PALIGEMMA, { model_type: 'my_paligemma' }, undefined],
    [
      'with tensors that its config does not explain',
      [...PALIGEMMA, 'x.weight'],
      { model_type: 'paligemma' },
      undefined,
    ],
    ['without a config', [...PALIGEMMA, 'x.weight'], undefined, undefined],
    ['with a config of other types', [...PALIGEMMA, 'x.weight'], { model_type: 7, architectures: 'x' }, undefined],
    [
      'ColPali',
      [...PALIGEMMA.map((name) => `vlm.${name}`), 'embedding_proj_layer.weight'],
      { model_type: 'paligemma' },
      'colpali',
    ],
    [
      'ColPali of colpali-engine',
      [...PALIGEMMA, 'custom_text_proj.bias'],
      { model_type: 'paligemma', architectures: ['ColPali'] },
      undefined,
    ],
    [
      'π0',
      [...PALIGEMMA.map((name) => `model.paligemma_with_expert.paligemma.${name}`), 'model.action_in_proj.weight'],
      { type: 'pi0' },
      undefined,
    ],
    [
      'π0.5, whose kind is new',
      [...PALIGEMMA.map((name) => `paligemma_with_expert.paligemma.${name}`), 'time_mlp_in.weight'],
      { model_type: 'pi99' },
      'x',
    ],
    ['π0-FAST', PALIGEMMA.map((name) => `model.pi0_paligemma.${name}`), { type: 'pi0fast' }, undefined],
    ['nobody’s', ['encoder.weight'], { model_type: 'bert' }, undefined],
  ])('%s', (_, names, config, modelType) => expect(recognize(names, config, modelType)).toBeUndefined());
});
