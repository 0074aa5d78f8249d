import { describe, expect, test } from 'vitest';
import { bytesData, readTensor, tensorData, tensorOf, type TensorData } from '../../../ir/tensor.ts';
import { normalizeName, normalizeHuggingFace, relativeOf } from './hugging_face_names.ts';

const data: TensorData = {
  ...bytesData('f32', [1], new Uint8Array(4)),
  from: { file: 'model.safetensors', key: 'x', byteOffset: 96 },
};
const named = (...names: readonly string[]): Map<string, TensorData> =>
  new Map(names.map((name) => [name, { ...data }]));

const Q = 'language_model.layers.3.self_attn.q_proj.weight';
const FC = 'vision_tower.encoder.layers.0.mlp.fc1.bias';
const PROJECTOR = 'multi_modal_projector.linear.weight';
const TABLE = 'language_model.embed_tokens.weight';
const HEAD = 'lm_head.weight';
const EMBEDDINGS = 'embedding_proj_layer.weight';

describe('one spelling for', () => {
  test.each<[string, readonly (readonly [string, string])[]]>([
    [
      '(a) hub originals',
      [
        ['language_model.model.layers.3.self_attn.q_proj.weight', Q],
        ['vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias', FC],
        [PROJECTOR, PROJECTOR],
        ['language_model.lm_head.weight', HEAD],
      ],
    ],
    [
      '(b) 4.52 in memory',
      [
        [`model.${Q}`, Q],
        ['model.vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias', FC],
        [`model.${PROJECTOR}`, PROJECTOR],
        [HEAD, HEAD],
      ],
    ],
    [
      '(c) saved by 5.x',
      [
        ['language_model.model.layers.3.self_attn.q_proj.weight', Q],
        [FC, FC],
        [PROJECTOR, PROJECTOR],
      ],
    ],
    [
      '(d) 5.x in memory',
      [
        [`model.${Q}`, Q],
        [`model.${FC}`, FC],
        [`model.${PROJECTOR}`, PROJECTOR],
        [HEAD, HEAD],
      ],
    ],
    [
      '5.x without the head',
      [
        [Q, Q],
        [FC, FC],
        [TABLE, TABLE],
      ],
    ],
    [
      'PEFT',
      [
        [`base_model.model.model.${Q}`, Q],
        ['base_model.model.model.language_model.layers.3.self_attn.q_proj.base_layer.weight', Q],
        ['base_model.model.language_model.model.layers.3.self_attn.q_proj.weight', Q],
      ],
    ],
    [
      'wrappers of training',
      [
        [`module.model.${Q}`, Q],
        [`_orig_mod.model.${Q}`, Q],
        ['model.language_model.layers.3._fsdp_wrapped_module._checkpoint_wrapped_module.self_attn.q_proj.weight', Q],
      ],
    ],
    [
      'ColPali of transformers',
      [
        ['vlm.language_model.model.layers.3.self_attn.q_proj.weight', Q],
        [`vlm.${FC}`, FC],
        [EMBEDDINGS, EMBEDDINGS],
        [`vlm.model.${Q}`, Q],
        ['vlm.language_model.lm_head.weight', HEAD],
        ['vlm.lm_head.weight', HEAD],
      ],
    ],
    [
      'ColPali of colpali-engine',
      [
        ['model.language_model.model.layers.3.self_attn.q_proj.weight', Q],
        [`model.model.${FC}`, FC],
        ['model.lm_head.weight', HEAD],
        ['custom_text_proj.weight', EMBEDDINGS],
        ['custom_text_proj.bias', 'embedding_proj_layer.bias'],
      ],
    ],
    [
      'openpi',
      [
        [`paligemma_with_expert.paligemma.model.${Q}`, Q],
        ['paligemma_with_expert.paligemma.lm_head.weight', HEAD],
        ['paligemma_with_expert.paligemma.model.vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias', FC],
      ],
    ],
    [
      'LeRobot',
      [
        [`model.paligemma_with_expert.paligemma.model.${Q}`, Q],
        ['model.paligemma_with_expert.paligemma.language_model.model.layers.3.self_attn.q_proj.weight', Q],
        ['model.paligemma_with_expert.paligemma.language_model.lm_head.weight', HEAD],
      ],
    ],
    [
      'π0-FAST of LeRobot',
      [
        ['model.pi0_paligemma.language_model.model.layers.3.self_attn.q_proj.weight', Q],
        [`pi0_paligemma.model.${Q}`, Q],
        ['model.pi0_paligemma.language_model.lm_head.weight', HEAD],
        ['module.model.pi0_paligemma.vision_tower.vision_model.encoder.layers.0.mlp.fc1.bias', FC],
        ['base_model.model.model.pi0_paligemma.multi_modal_projector.linear.weight', PROJECTOR],
      ],
    ],
    [
      'PI0 of transformers',
      [
        [`model.vlm.${Q}`, Q],
        ['paligemma_with_expert.paligemma.model.language_model.model.layers.3.self_attn.q_proj.weight', Q],
      ],
    ],
  ])('%s', (_, pairs) => {
    for (const [name, normalized] of pairs) expect(normalizeName(name)).toBe(normalized);
  });
});

test('what nothing uses is dropped without a word', () => {
  const { tensors, warnings, relative } = normalizeHuggingFace(
    named(
      Q,
      'vision_tower.vision_model.embeddings.position_ids',
      'language_model.model.layers.0.self_attn.rotary_emb.inv_freq',
      'model.language_model.rotary_emb.inv_freq',
      'vision_tower.vision_model.head.probe',
      'model.vision_tower.head.mlp.fc1.weight',
      TABLE,
    ),
    'folder',
  );
  expect([...tensors.keys()]).toEqual([Q, TABLE]);
  expect([warnings, relative]).toEqual([[], undefined]);
});

test('one parameter under the names of two generations is an error that names both', () => {
  const twice = named('language_model.model.norm.weight', 'model.language_model.norm.weight');
  expect(() => normalizeHuggingFace(twice, 'folder')).toThrow(
    /"language_model\.model\.norm\.weight" and "model\.language_model\.norm\.weight" are the same parameter/,
  );
  expect(() => normalizeHuggingFace(twice, 'folder')).toThrow(
    expect.objectContaining({
      code: 'duplicate_tensor',
      place: expect.objectContaining({
        file: 'model.safetensors',
        tensor: 'model.language_model.norm.weight',
        offset: 96,
      }) as unknown,
    }),
  );
});

test.each([
  'base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.default.weight',
  'base_model.model.lm_head.modules_to_save.default.weight',
  'model.language_model.layers.0.self_attn.q_proj.lora_magnitude_vector.default.weight',
])('an adapter that was not merged: %s', (name) =>
  expect(() => normalizeHuggingFace(named(Q, name), 'folder')).toThrow(
    expect.objectContaining({
      code: 'unmerged_adapter',
      place: expect.objectContaining({
        tensor: name,
        hint: expect.stringContaining('merge_and_unload') as unknown,
      }) as unknown,
    }),
  ),
);

test.each<[readonly number[], readonly number[], boolean]>([
  [[8, 14, 14, 3], [8, 3, 14, 14], true],
  [[8, 3, 14, 14], [8, 3, 14, 14], false],
  [[8, 14, 7, 3], [8, 14, 7, 3], false],
  [[8, 3, 3, 3], [8, 3, 3, 3], false],
])('a patch kernel %o, of MLX or not', async (shape, expected, isTurned) => {
  const name = 'vision_tower.vision_model.embeddings.patch_embedding.weight';
  const values = Array.from({ length: shape.reduce((n, d) => n * d, 1) }, (_, i) => i % 251);
  const { tensors, warnings } = normalizeHuggingFace(
    new Map([[name, tensorData(tensorOf('f32', shape, values))]]),
    'f',
  );
  const patch = tensors.get('vision_tower.embeddings.patch_embedding.weight')!;
  expect(patch.shape).toEqual(expected);
  expect(warnings).toEqual(
    isTurned ? [expect.stringMatching(/patch_embedding\.weight" lies \[out, height, width, in\], as MLX/)] : [],
  );
  const read = (await readTensor(patch)).data;
  // [1, 2, 5, 4] of [out, in, height, width]
  if (isTurned) expect(read[((1 * 3 + 2) * 14 + 5) * 14 + 4]).toBe(values[((1 * 14 + 5) * 14 + 4) * 3 + 2]);
  else expect([...read]).toEqual(values);
});

test('a table that is only there as the head is the embedding', () => {
  const { tensors, warnings } = normalizeHuggingFace(named(Q, 'language_model.lm_head.weight'), 'folder');
  expect([...tensors.keys()]).toEqual([Q, TABLE]);
  expect(warnings).toEqual([expect.stringContaining('"language_model.lm_head.weight" and no embedding table')]);
  const both = normalizeHuggingFace(named(TABLE, HEAD), 'folder');
  expect([[...both.tensors.keys()], both.warnings]).toEqual([[TABLE, HEAD], []]);
});

test('of a π0, the PaliGemma is kept and one sentence says what was not', () => {
  const names = [
    `paligemma_with_expert.paligemma.model.${Q}`,
    `paligemma_with_expert.paligemma.model.${PROJECTOR}`,
    'paligemma_with_expert.paligemma.lm_head.weight',
  ];
  const expert = [
    'paligemma_with_expert.gemma_expert.model.layers.0.mlp.up_proj.weight',
    'paligemma_with_expert.gemma_expert.lm_head.weight',
    'action_in_proj.weight',
    'state_proj.bias',
    'action_time_mlp_in.weight',
  ];
  for (const prefix of ['', 'model.']) {
    const { tensors, relative, warnings } = normalizeHuggingFace(
      named(...[...names, ...expert].map((name) => prefix + name), 'normalize_inputs.buffer_observation_state.mean'),
      'folder',
    );
    expect([...tensors.keys()]).toEqual([Q, PROJECTOR, TABLE]);
    expect(relative).toBe('pi0');
    expect(warnings).toEqual([
      'This is a π0 checkpoint: its PaliGemma is converted, and 6 tensors of the action expert were left out (gemma_expert, action_in_proj, state_proj, action_time_mlp_in, normalize_inputs).',
    ]);
  }
  const inMemory = normalizeHuggingFace(
    named(`model.vlm.${Q}`, 'model.dit.layers.0.mlp.up_proj.weight', 'embed_action_time.state_proj.weight'),
    'folder',
  );
  expect([...inMemory.tensors.keys()]).toEqual([Q]);
  expect(inMemory.warnings[0]).toContain('2 tensors of the action expert were left out (dit, state_proj)');
});

test('relatives are known by their names', () => {
  expect(relativeOf([Q, PROJECTOR])).toBeUndefined();
  expect(relativeOf([`vlm.${Q}`, EMBEDDINGS])).toBe('colpali');
  expect(relativeOf([`model.${Q}`, 'custom_text_proj.bias'])).toBe('colpali');
  expect(relativeOf(['base_model.model.custom_text_proj.bias'])).toBe('colpali');
  expect(relativeOf([`model.paligemma_with_expert.paligemma.model.${Q}`])).toBe('pi0');
});
