import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { elementCount, readTensor, tensorData, tensorOf, type TensorData } from '../../../ir/tensor.ts';
import { writeSafetensors } from '../../checkpoints/safetensors_writer.ts';
import { expectRefusal, type Refusal } from '../../checkpoints/testing/expect_refusal.ts';
import { tempFolder } from '../../checkpoints/testing/temp_folder.ts';
import type { Adapter } from './adapter.ts';
import { applyAdapters, openAdapter, type TableSizes } from './index.ts';

/** A model of three layers and a table: enough to tell every way in which an adapter may not fit it. */
const SHAPES: Readonly<Record<string, readonly [string, readonly number[]]>> = {
  'lm.embed': ['model.language_model.embed_tokens.weight', [10, 4]],
  'lm.0.q': ['model.language_model.layers.0.self_attn.q_proj.weight', [6, 4]],
  'lm.0.o': ['model.language_model.layers.0.self_attn.o_proj.weight', [4, 6]],
  'vit.0.q.w': ['model.vision_tower.encoder.layers.0.self_attn.q_proj.weight', [8, 8]],
  'vit.0.q.b': ['model.vision_tower.encoder.layers.0.self_attn.q_proj.bias', [8]],
};
const NAMES = new Map([
  ...Object.entries(SHAPES).map(([canonical, [name]]) => [name, canonical] as const),
  ['lm_head.weight', 'lm.head'] as const,
]);
const canonicalName = (parameter: string) => NAMES.get(parameter);

function filled(shape: readonly number[], value: number | ((i: number) => number) = 1): TensorData {
  return tensorData(
    tensorOf(
      'f32',
      shape,
      Array.from({ length: elementCount(shape) }, (_, i) => (typeof value === 'number' ? value : value(i))),
    ),
  );
}
const base = () =>
  new Map(Object.entries(SHAPES).map(([canonical, [, shape]]) => [canonical, filled(shape, (i) => Math.cos(i + 1))]));

const P = 'base_model.model.model.language_model.layers.0.self_attn.q_proj';
const O = 'base_model.model.model.language_model.layers.0.self_attn.o_proj';
const E = 'base_model.model.model.language_model.embed_tokens';
const VISION = 'base_model.model.model.vision_tower.encoder.layers.0.self_attn.q_proj';
const lora = (prefix: string, [out, inner]: readonly [number, number], rank = 2) => ({
  [`${prefix}.lora_A.weight`]: filled([rank, inner], 0.5),
  [`${prefix}.lora_B.weight`]: filled([out, rank], 2),
});

const open: Adapter[] = [];
afterAll(async () => {
  await Promise.all(open.map((adapter) => adapter.close()));
});

async function adapterOf(
  tensors: Readonly<Record<string, TensorData>>,
  config: Readonly<Record<string, unknown>> = {},
  scale = 1,
): Promise<Adapter> {
  const dir = tempFolder({
    'adapter_config.json': JSON.stringify({
      peft_type: 'LORA',
      r: 2,
      lora_alpha: 2,
      base_model_name_or_path: 'someone/their-base',
      ...config,
    }),
  });
  await writeSafetensors(
    join(dir, 'adapter_model.safetensors'),
    Object.entries(tensors).map(([name, data]) => ({ name, data })),
  );
  const adapter = await openAdapter(dir, { scale });
  open.push(adapter);
  return adapter;
}
const apply = (adapters: readonly Adapter[], weights = base(), table?: TableSizes) =>
  applyAdapters(weights, adapters, canonicalName, table);
const valuesOf = async (data: TensorData | undefined) => [...(await readTensor(data!)).data];

async function expectRefused(
  tensors: Readonly<Record<string, TensorData>>,
  refusal: Refusal,
  config: Readonly<Record<string, unknown>> = {},
  table?: TableSizes,
) {
  const adapter = await adapterOf(tensors, config);
  return expectRefusal(() => apply([adapter], base(), table), adapter.files[0]!.path, refusal);
}

describe('an adapter that does not fit is refused:', () => {
  test('A without B, and B without A', async () => {
    const { [`${P}.lora_A.weight`]: a, [`${P}.lora_B.weight`]: b } = lora(P, [6, 4]);
    await expectRefused(
      { [`${P}.lora_A.weight`]: a! },
      { code: 'adapter_half', message: /lora_A is there and lora_B is not/, tensor: `${P}.lora_A.weight` },
    );
    await expectRefused(
      { [`${P}.lora_B.weight`]: b! },
      { code: 'adapter_half', message: /lora_B is there and lora_A is not/, tensor: `${P}.lora_B.weight` },
    );
    await expectRefused(
      { [`${E}.lora_embedding_A`]: filled([2, 10]) },
      { code: 'adapter_half', message: /lora_embedding_B is not/ },
    );
  });

  test('a rank that the config does not say, patterns included', async () => {
    await expectRefused(lora(P, [6, 4], 3), {
      code: 'adapter_rank',
      message: /layers\.0\.self_attn\.q_proj": lora_A\.weight has rank 3, adapter_config\.json says 2/,
      tensor: `${P}.lora_A.weight`,
    });
    await expectRefused(
      lora(P, [6, 4]),
      { code: 'adapter_rank', message: /has rank 2, adapter_config\.json says 5/ },
      { rank_pattern: { q_proj: 5 } },
    );
    await expectRefused(
      { ...lora(P, [6, 4]), [`${P}.lora_B.weight`]: filled([6, 1]) },
      { code: 'adapter_rank', message: /lora_B\.weight has rank 1/ },
    );
    await expect(adapterOf(lora(P, [6, 4]), { rank_pattern: { '(q': 2 } })).rejects.toMatchObject({
      code: 'bad_config',
    });
  });

  test('another base, with both shapes and the name of its own', async () => {
    const wide = await expectRefused(lora(P, [6, 5]), {
      code: 'adapter_wrong_base',
      message: /q_proj" is \[6, 4\] in this base; lora_A must be \[2, 4\] and is \[2, 5\]; .*"someone\/their-base"/,
      tensor: `${P}.lora_A.weight`,
    });
    expect(wide.place.hint).toMatch(/trained on/);
    await expectRefused(lora(P, [7, 4]), {
      code: 'adapter_wrong_base',
      message: /lora_B must be \[6, 2\] and is \[7, 2\]/,
    });
    await expectRefused(
      { [`${VISION}.bias`]: filled([9]) },
      { code: 'adapter_wrong_base', message: /q_proj\.bias" is \[9\] in the adapter and \[8\] in this base/ },
    );
  });

  test('factors whose shards were not gathered', async () => {
    const { place } = await expectRefused(
      { ...lora(P, [6, 4]), [`${P}.lora_A.weight`]: filled([3]) },
      { code: 'adapter_wrong_base', message: /is \[3\]/ },
    );
    expect(place.hint).toMatch(/DeepSpeed/);
  });

  test('tensors for what the model does not have, the first few by name', async () => {
    const missing = Object.assign(
      {},
      ...Array.from({ length: 4 }, (_, i) => lora(P.replace('layers.0', `layers.${i + 7}`), [6, 4])),
    ) as Record<string, TensorData>;
    await expectRefused(
      { ...lora(P, [6, 4]), ...missing },
      {
        code: 'adapter_unmatched',
        message: /^8 of the adapter’s 10 tensors .*layers\.7.*, and 3 more; .*their-base/,
        tensor: `${P.replace('layers.0', 'layers.7')}.lora_A.weight`,
      },
    );
    await expectRefused(missing, { code: 'adapter_no_match', message: /^none of the adapter’s 8 tensors/ });
    await expectRefused(
      { ...lora(P, [6, 4]), [`${P}.lora_diag`]: filled([2]) },
      { code: 'adapter_unmatched', message: /lora_diag/ },
    );
    await expectRefused(
      { ...lora(P, [6, 4]), ['__proto__']: filled([2]), 'x\u0007y': filled([1]) },
      { code: 'adapter_unmatched', message: /2 of the/ },
    );
  });

  test('targets without any factor', async () => {
    await expectRefused(
      { [`${VISION}.bias`]: filled([8]) },
      { code: 'adapter_no_match', message: /adapts q_proj, v_proj, but no tensor/ },
      { target_modules: ['q_proj', 'v_proj'] },
    );
  });

  test('DoRA without magnitudes, and magnitudes without DoRA', async () => {
    await expectRefused(
      lora(P, [6, 4]),
      { code: 'adapter_dora', message: /lora_magnitude_vector is missing/ },
      { use_dora: true },
    );
    await expectRefused(
      { ...lora(P, [6, 4]), [`${P}.lora_magnitude_vector`]: filled([6]) },
      { code: 'adapter_dora', message: /does not set use_dora/, tensor: `${P}.lora_magnitude_vector` },
    );
    await expectRefused(
      { ...lora(P, [6, 4]), [`${P}.lora_magnitude_vector`]: filled([4]) },
      { code: 'adapter_wrong_base', message: /lora_magnitude_vector must be \[6\] and is \[4\]/ },
      { use_dora: true },
    );
    await expectRefused(
      { ...lora(O, [4, 6]), [`${O}.lora_magnitude_vector`]: filled([4]), [`${P}.lora_magnitude_vector`]: filled([6]) },
      { code: 'adapter_half', message: /lora_magnitude_vector is there and lora_A is not/ },
      { use_dora: true },
    );
  });

  test('one tensor under two names, and two adapters in one file', async () => {
    const { [`${P}.lora_A.weight`]: a } = lora(P, [6, 4]);
    await expectRefused(
      { ...lora(P, [6, 4]), [`${P}.lora_A.default.weight`]: a! },
      { code: 'adapter_duplicate', message: /for the same weight/ },
    );
    await expectRefused(
      { ...lora(P, [6, 4]), [`${P}.weight`]: filled([6, 4]) },
      { code: 'adapter_duplicate', message: /both replaced and adapted/, tensor: `${P}.weight` },
    );
  });

  test('NaN and infinity', async () => {
    const nan = (shape: readonly number[]) => filled(shape, (i) => (i === 2 ? NaN : 1));
    await expectRefused(
      { ...lora(P, [6, 4]), [`${P}.lora_A.weight`]: nan([2, 4]) },
      { code: 'adapter_not_finite', message: /holds NaN/, tensor: `${P}.lora_A.weight` },
    );
    await expectRefused(
      { ...lora(P, [6, 4]), [`${P}.lora_magnitude_vector`]: nan([6]) },
      { code: 'adapter_not_finite', message: /magnitude/ },
      { use_dora: true },
    );
    await expectRefused({ [`${VISION}.bias`]: nan([8]) }, { code: 'adapter_not_finite', message: /bias/ });
    await expectRefused(
      { ...lora(VISION, [8, 8]), [`${VISION}.lora_B.bias`]: nan([8]) },
      { code: 'adapter_not_finite', message: /lora_B\.bias/ },
    );
  });

  test('a bias for a layer that has none', async () => {
    await expectRefused(
      { ...lora(P, [6, 4]), [`${P}.lora_B.bias`]: filled([6]) },
      { code: 'unsupported_adapter', message: /lora_bias gives .*q_proj" a bias/ },
      { lora_bias: true },
    );
  });
});

describe('applying adapters', () => {
  test('in a row: each on what the ones before left', async () => {
    const first = await adapterOf(lora(P, [6, 4]), { lora_alpha: 4 });
    const second = await adapterOf({ ...lora(P, [6, 4]), ...lora(O, [4, 6]) }, {}, -0.5);
    const weights = base();
    const { weights: adapted, changes } = await apply([first, second], weights);
    // B·A is 2 everywhere: 2 · 2 of the first, 2 · -0.5 of the second.
    expect(await valuesOf(adapted.get('lm.0.q'))).toEqual(
      (await valuesOf(weights.get('lm.0.q'))).map((x) => Math.fround(Math.fround(x + 4) - 1)),
    );
    expect(await valuesOf(adapted.get('lm.0.o'))).toEqual(
      (await valuesOf(weights.get('lm.0.o'))).map((x) => Math.fround(x - 1)),
    );
    expect(changes).toEqual([
      {
        adapter: first.name,
        module: 'model.language_model.layers.0.self_attn.q_proj',
        weight: 'lm.0.q',
        kind: 'lora',
        norm: expect.closeTo(4 * Math.sqrt(24), 5),
        rank: 2,
        scaling: 2,
      },
      {
        adapter: second.name,
        module: 'model.language_model.layers.0.self_attn.q_proj',
        weight: 'lm.0.q',
        kind: 'lora',
        norm: expect.closeTo(Math.sqrt(24), 5),
        rank: 2,
        scaling: -0.5,
      },
      {
        adapter: second.name,
        module: 'model.language_model.layers.0.self_attn.o_proj',
        weight: 'lm.0.o',
        kind: 'lora',
        norm: expect.closeTo(Math.sqrt(24), 5),
        rank: 2,
        scaling: -0.5,
      },
    ]);
    expect([...adapted.keys()]).toEqual([...weights.keys()]);
    expect(adapted.get('vit.0.q.w')).toBe(weights.get('vit.0.q.w'));
  });

  test('says what of the config has no tensors, and what a scale does not reach', async () => {
    const adapter = await adapterOf(
      { ...lora(P, [6, 4]), [`${VISION}.bias`]: filled([8], 7) },
      { target_modules: ['q_proj', 'v_proj'], modules_to_save: ['lm_head', 'q_proj'] },
      0.5,
    );
    const { warnings, weights } = await apply([adapter]);
    expect(warnings).toEqual([
      expect.stringMatching(/names v_proj, lm_head, for which/),
      expect.stringMatching(/replaces some weights whole: those are not scaled by 0\.5/),
    ]);
    expect(await valuesOf(weights.get('vit.0.q.b'))).toEqual(Array(8).fill(7));
  });

  test('whole tensors under modules_to_save, with an adapter’s name or without', async () => {
    for (const middle of ['modules_to_save.default', 'modules_to_save']) {
      const { weights, changes } = await apply([
        await adapterOf({ [`${VISION}.${middle}.weight`]: filled([8, 8], 3) }),
      ]);
      expect(await valuesOf(weights.get('vit.0.q.w'))).toEqual(Array(64).fill(3));
      expect(changes).toMatchObject([
        { kind: 'replaced', weight: 'vit.0.q.w', relative: expect.any(Number) as number },
      ]);
    }
  });

  test('a wrapped weight that is the base’s own changes nothing', async () => {
    const weights = base();
    const { changes, weights: adapted } = await apply(
      [await adapterOf({ ...lora(P, [6, 4]), [`${P}.base_layer.weight`]: weights.get('lm.0.q')! })],
      weights,
    );
    expect(changes.map(({ kind }) => kind)).toEqual(['lora']);
    const other = await apply(
      [await adapterOf({ ...lora(P, [6, 4]), [`${P}.base_layer.weight`]: filled([6, 4], 5) })],
      weights,
    );
    expect(other.changes.map(({ kind }) => kind)).toEqual(['replaced', 'lora']);
    expect(await valuesOf(other.weights.get('lm.0.q'))).toEqual(Array(24).fill(7));
    expect(await valuesOf(adapted.get('lm.0.q'))).not.toEqual(await valuesOf(weights.get('lm.0.q')));
  });
});

describe('a table that is embedding and head', () => {
  const table: TableSizes = { vocabSize: 10, imageTokenId: 10 };
  const embedding = (rows = 10) => ({
    [`${E}.lora_embedding_A`]: filled([2, rows], 0.5),
    [`${E}.lora_embedding_B`]: filled([4, 2], 2),
  });
  const H = 'base_model.model.lm_head';

  test('comes apart when an adapter changes one of the two', async () => {
    const weights = base();
    const before = await valuesOf(weights.get('lm.embed'));
    const embedOnly = await apply([await adapterOf(embedding())], weights);
    expect(embedOnly.weights.get('lm.head')).toBe(weights.get('lm.embed'));
    expect(await valuesOf(embedOnly.weights.get('lm.embed'))).toEqual(before.map((x) => Math.fround(x + 2)));
    expect(embedOnly.warnings).toEqual([expect.stringMatching(/head stays the base’s/)]);
    const headOnly = await apply([await adapterOf(lora(H, [10, 4]))], weights);
    expect(headOnly.weights.get('lm.embed')).toBe(weights.get('lm.embed'));
    expect(await valuesOf(headOnly.weights.get('lm.head'))).toEqual(before.map((x) => Math.fround(x + 2)));
    expect(headOnly.warnings).toEqual([]);
  });

  test('stays one by value when both get the same', async () => {
    const { weights } = await apply([await adapterOf({ ...embedding(), ...lora(H, [10, 4]) })]);
    expect(await valuesOf(weights.get('lm.head'))).toEqual(await valuesOf(weights.get('lm.embed')));
  });

  test('that was apart before: each part takes its own', async () => {
    const weights = base().set('lm.head', filled([10, 4], 9));
    const { weights: adapted } = await apply(
      [await adapterOf({ ...embedding(), [`${H}.weight`]: filled([10, 4], 1) })],
      weights,
    );
    expect(await valuesOf(adapted.get('lm.head'))).toEqual(Array(40).fill(1));
    const kept = await apply([await adapterOf(embedding())], weights);
    expect(kept.weights.get('lm.head')).toBe(weights.get('lm.head'));
    expect(kept.warnings).toEqual([]);
  });

  test('may differ from the adapter’s by <image> and padding, and by nothing else', async () => {
    const weights = base();
    const before = await valuesOf(weights.get('lm.embed'));
    const more = await apply([await adapterOf(embedding(12))], weights, table);
    expect(await valuesOf(more.weights.get('lm.embed'))).toEqual(before.map((x) => Math.fround(x + 2)));
    expect(more.warnings[0]).toMatch(/is for 12 rows and the base has 10; .* no model reads/);
    const wide = base().set('lm.embed', filled([12, 4], 1));
    const fewer = await apply([await adapterOf(embedding(10))], wide, table);
    expect(await valuesOf(fewer.weights.get('lm.embed'))).toEqual([...Array(40).fill(3), ...Array(8).fill(1)]);
    const replaced = await apply([await adapterOf({ [`${E}.weight`]: filled([10, 4], 5) })], wide, table);
    expect(await valuesOf(replaced.weights.get('lm.embed'))).toEqual([...Array(40).fill(5), ...Array(8).fill(1)]);
    const cut = await apply([await adapterOf({ [`${H}.weight`]: filled([12, 4], 5) })], weights, table);
    expect(await valuesOf(cut.weights.get('lm.head'))).toEqual(Array(48).fill(5));
    await expectRefused(embedding(12), {
      code: 'adapter_wrong_base',
      message: /lora_embedding_A must be \[2, 10\] and is \[2, 12\]/,
    });
    await expectRefused(embedding(9), { code: 'adapter_wrong_base', message: /is \[2, 9\]/ }, {}, table);
    // Other weights are never so forgiving.
    await expectRefused(
      { [`${VISION}.weight`]: filled([12, 8]) },
      { code: 'adapter_wrong_base', message: /12, 8/ },
      {},
      table,
    );
    // DoRA's magnitudes of an embedding are over rows that this base does not have.
    await expectRefused(
      { ...embedding(12), [`${E}.lora_magnitude_vector`]: filled([4]) },
      { code: 'adapter_wrong_base', message: /norms of 12 rows/ },
      { use_dora: true },
      table,
    );
  });
});

describe('tokens of an adapter’s own', () => {
  const sizes: TableSizes = { vocabSize: 13, imageTokenId: 10 };
  const H = 'base_model.model.lm_head.weight';
  const tokens = 'base_model.model.model.language_model.embed_tokens.token_adapter.trainable_tokens_delta';

  test('bring their rows, in table and head', async () => {
    const own = await adapterOf({ [`${E}.weight`]: filled([13, 4], 5), [H]: filled([14, 4], 6) });
    const { weights, changes, warnings } = await apply([own], base(), sizes);
    expect(await valuesOf(weights.get('lm.embed'))).toEqual(Array(52).fill(5));
    expect(await valuesOf(weights.get('lm.head'))).toEqual(Array(56).fill(6));
    expect(changes.map(({ kind }) => kind)).toEqual(['replaced', 'replaced']);
    expect(warnings[0]).toMatch(/is for 13 rows and the base has 10; the difference is 2 tokens of its own/);
  });

  test('cannot be added to rows that the base has not, nor be fewer than there are', async () => {
    const factors = {
      [`${E}.lora_embedding_A`]: filled([2, 13], 0.5),
      [`${E}.lora_embedding_B`]: filled([4, 2], 2),
    };
    const refused = await expectRefused(factors, { code: 'adapter_wrong_base', message: /is \[2, 13\]/ }, {}, sizes);
    expect(refused.place.hint).toMatch(/no rows for its tokens/);
    await expectRefused(
      { [`${E}.weight`]: filled([12, 4]) },
      { code: 'adapter_wrong_base', message: /12, 4/ },
      {},
      sizes,
    );
  });

  test('rows of single tokens take the place of the table’s, and of a tied head’s', async () => {
    const before = base();
    const values = await valuesOf(before.get('lm.embed'));
    const { weights, changes } = await apply(
      [await adapterOf({ [tokens]: filled([2, 4], 7) }, { trainable_token_indices: [8, 3] })],
      before,
    );
    const expected = values.map((x, i) => (Math.floor(i / 4) === 8 || Math.floor(i / 4) === 3 ? 7 : x));
    expect(await valuesOf(weights.get('lm.embed'))).toEqual(expected);
    expect(weights.has('lm.head')).toBe(false);
    expect(changes).toMatchObject([{ kind: 'tokens', weight: 'lm.embed' }]);
  });

  test('rows of single tokens beside factors: the head has the rows alone', async () => {
    const before = base();
    const values = await valuesOf(before.get('lm.embed'));
    const factors = {
      [`${E}.lora_embedding_A`]: filled([2, 10], 0.5),
      [`${E}.lora_embedding_B`]: filled([4, 2], 2),
    };
    const { weights } = await apply(
      [
        await adapterOf(
          { ...factors, [tokens]: filled([1, 4], 7) },
          { trainable_token_indices: { embed_tokens: [2] } },
        ),
      ],
      before,
    );
    const isOwn = (i: number) => Math.floor(i / 4) === 2;
    expect(await valuesOf(weights.get('lm.head'))).toEqual(values.map((x, i) => (isOwn(i) ? 7 : x)));
    expect(await valuesOf(weights.get('lm.embed'))).toEqual(values.map((x, i) => (isOwn(i) ? 7 : Math.fround(x + 2))));
  });

  test('rows of tokens that the table has not, or more than there are ids', async () => {
    const beyond = await adapterOf({ [tokens]: filled([1, 4]) }, { trainable_token_indices: [10] });
    await expect(apply([beyond])).rejects.toMatchObject({
      code: 'adapter_wrong_base',
      message: expect.stringContaining('token 10 was trained, and this table has 10 rows'),
    });
    const more = await adapterOf({ [tokens]: filled([2, 4]) }, { trainable_token_indices: [1] });
    await expect(apply([more])).rejects.toMatchObject({ code: 'adapter_wrong_base' });
  });
});

test('the trained adapter of fixtures changes all linear layers of the decoder and nothing else', async () => {
  const adapter = await openAdapter('fixtures/shapes/lora-shapes');
  open.push(adapter);
  const config = JSON.parse(readFileSync('fixtures/shapes/hf/config.json', 'utf8')) as {
    text_config: { num_hidden_layers: number };
  };
  const modules = new Set([...adapter.tensors.keys()].map((name) => name.replace(/\.lora_[AB]\.weight$/, '')));
  expect(modules.size).toBe(7 * config.text_config.num_hidden_layers);
  expect([...modules].every((name) => name.includes('language_model.layers'))).toBe(true);
});
