import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { expectRefusal } from '../../checkpoints/testing/expect_refusal.ts';
import { rawSafetensors } from '../../checkpoints/testing/raw_safetensors.ts';
import { tempFolder } from '../../checkpoints/testing/temp_folder.ts';
import { Inputs } from '../../inputs/inputs.ts';
import { openAdapter } from './index.ts';

const LORA = 'fixtures/adapters/lora';
const CONFIG = JSON.parse(readFileSync(`${LORA}/adapter_config.json`, 'utf8')) as Record<string, unknown>;
const WEIGHTS = readFileSync(`${LORA}/adapter_model.safetensors`);

/** A folder with the adapter `lora`, of which the config has these fields instead. */
function adapterWith(
  changes: Readonly<Record<string, unknown>>,
  files: Readonly<Record<string, Uint8Array | string>> = {},
): string {
  return tempFolder({
    'adapter_config.json': JSON.stringify({ ...CONFIG, ...changes }),
    'adapter_model.safetensors': WEIGHTS,
    ...files,
  });
}
const openOnce = async (dir: string, scale?: number): Promise<void> =>
  (await openAdapter(dir, scale === undefined ? {} : { scale })).close();

describe('opening an adapter', () => {
  test('reads its config and names, and no weight', async () => {
    const adapter = await openAdapter(LORA, { scale: 0.25 });
    expect(adapter).toMatchObject({
      name: 'lora',
      scale: 0.25,
      warnings: [],
      config: {
        rank: 3,
        alpha: 8,
        dora: false,
        rankStabilized: false,
        baseModel: 'pg1-tiny',
        targetModules: ['q_proj', 'v_proj'],
      },
    });
    expect(adapter.files.map(({ name }) => name)).toEqual(['adapter_model.safetensors', 'adapter_config.json']);
    expect(
      adapter.tensors.get('base_model.model.model.vision_tower.encoder.layers.0.self_attn.q_proj.lora_A.weight')!.shape,
    ).toEqual([3, 48]);
    await adapter.close();
  });

  test('takes a trained adapter as it came', async () => {
    const adapter = await openAdapter('fixtures/shapes/lora-shapes');
    expect(adapter.scale).toBe(1);
    expect(adapter.tensors.size).toBeGreaterThan(0);
    await adapter.close();
  });

  test('takes PEFT’s defaults for what an old config lacks', async () => {
    const adapter = await openAdapter(
      tempFolder({ 'adapter_config.json': '{"peft_type":"LORA"}', 'adapter_model.safetensors': WEIGHTS }),
    );
    expect(adapter.config).toMatchObject({ rank: 8, alpha: 8, baseModel: undefined, modulesToSave: [] });
    await adapter.close();
  });

  test('says what it does not know or what has no effect', async () => {
    const adapter = await openAdapter(
      adapterWith({ fan_in_fan_out: true, use_superlora: true, new_option: null, loftq_config: { loftq_bits: 4 } }),
    );
    expect(adapter.warnings).toEqual([
      expect.stringMatching(/sets use_superlora, which/),
      expect.stringMatching(/fan_in_fan_out .* no effect/),
    ]);
    await adapter.close();
  });

  test.each(['gaussian', 'eva', 'orthogonal', true, false])('takes adapters that began with %s', async (start) => {
    await expect(openOnce(adapterWith({ init_lora_weights: start }))).resolves.toBeUndefined();
  });

  test('finds a file that changed meanwhile', async () => {
    const dir = adapterWith({});
    const inputs = new Inputs();
    await openAdapter(dir, { inputs });
    await inputs.checkUnchanged();
    utimesSync(join(dir, 'adapter_config.json'), 1, 1);
    await expect(inputs.checkUnchanged()).rejects.toMatchObject({
      code: 'file_changed',
      place: { file: join(dir, 'adapter_config.json') },
    });
    await inputs.close();
  });
});

describe('is refused:', () => {
  const config = (dir: string) => join(dir, 'adapter_config.json');

  test.each(['IA3', 'LOHA', 'LOKR', 'OFT', 'ADALORA', 'PROMPT_TUNING', 'XLORA', 'lora'])(
    'the method %s',
    async (method) => {
      const dir = adapterWith({ peft_type: method });
      const { place } = await expectRefusal(() => openOnce(dir), config(dir), {
        code: 'unsupported_adapter',
        message: new RegExp(`the adapter is ${method};`),
      });
      expect(place.hint).toMatch(
        ['PROMPT_TUNING', 'XLORA'].includes(method) ? /no merged weights/ : /merge_and_unload/,
      );
    },
  );

  test.each<[string, unknown]>([
    ['alora_invocation_tokens', [1, 2]],
    ['arrow_config', { top_k: 3 }],
    ['kasa_config', { beta: 1 }],
    [
      'layer_replication',
      [
        [0, 4],
        [2, 5],
      ],
    ],
    ['megatron_config', { a: 1 }],
    ['monteclora_config', { a: 1 }],
    ['target_parameters', ['experts.gate_up_proj']],
    ['use_bdlora', { nblocks: 2 }],
    ['use_qalora', true],
    ['velora_config', { scale: 1 }],
  ])('%s, by name', async (field, value) => {
    const dir = adapterWith({ [field]: value });
    await expectRefusal(() => openOnce(dir), config(dir), {
      code: 'unsupported_adapter',
      message: new RegExp(`\\(${field}\\)`),
    });
  });

  test.each(['pissa', 'pissa_niter_16', 'olora', 'corda', 'lora_ga', 'loftq', 'PiSSA'])(
    'a start that changed the base: %s',
    async (start) => {
      const dir = adapterWith({ init_lora_weights: start });
      const { place } = await expectRefusal(() => openOnce(dir), config(dir), {
        code: 'unsupported_adapter',
        message: new RegExp(`began with ${start} `),
      });
      expect(place.hint).toMatch(/path_initial_model_for_weight_conversion/);
    },
  );

  test.each<[string, Readonly<Record<string, unknown>>, RegExp]>([
    ['a rank of 0', { r: 0 }, /^r: /],
    ['a rank of 1.5', { r: 1.5 }, /^r: /],
    ['a rank that is a word', { r: '8' }, /^r: /],
    ['an alpha that is a list', { lora_alpha: [] }, /^lora_alpha: /],
    ['a pattern of ranks that is none', { rank_pattern: { q_proj: -1 } }, /^rank_pattern\.q_proj: /],
    ['a bias of another kind', { bias: 'some' }, /^bias: /],
    ['no method', { peft_type: null }, /no peft_type/],
  ])('%s', async (_, changes, message) => {
    const dir = adapterWith(changes);
    await expectRefusal(() => openOnce(dir), config(dir), { code: 'bad_config', message });
  });

  test.each<[string, string, RegExp]>([
    ['a list', '[]', /must be a JSON object/],
    ['a key twice', '{"r": 1, "r": 2}', /duplicate key "r"/],
    ['nothing', '', /found the end/],
    ['a number that is none', '{"peft_type": "LORA", "lora_alpha": 1e999}', /cannot be held exactly/],
    ['__proto__', '{"peft_type": "LORA", "rank_pattern": {"__proto__": 4}}', /__proto__/],
  ])('a config that is %s', async (_, text, message) => {
    const dir = adapterWith({}, { 'adapter_config.json': text });
    await expectRefusal(() => openOnce(dir), config(dir), { code: 'bad_config', message });
  });

  test('a pickle, with the way out', async () => {
    const dir = tempFolder({ 'adapter_config.json': JSON.stringify(CONFIG), 'adapter_model.bin': 'PK' });
    const { place } = await expectRefusal(() => openOnce(dir), join(dir, 'adapter_model.bin'), {
      code: 'pickle_refused',
      message: /pickle/,
    });
    expect(place.hint).toMatch(/weights_only=True/);
  });

  test('a folder without weights, without config, and a model', async () => {
    const bare = tempFolder({ 'adapter_config.json': JSON.stringify(CONFIG) });
    await expectRefusal(() => openOnce(bare), bare, {
      code: 'adapter_without_weights',
      message: /no adapter_model\.safetensors/,
    });
    const empty = tempFolder();
    await expectRefusal(() => openOnce(empty), empty, { code: 'not_an_adapter', message: /no adapter_config\.json/ });
    const model = join(process.cwd(), 'fixtures/pg1-tiny/hf');
    await expectRefusal(() => openOnce(model), model, { code: 'not_an_adapter', message: /a model, not an adapter/ });
  });

  test('weights that are damaged, another thing, empty or not floats', async () => {
    const cut = adapterWith({}, { 'adapter_model.safetensors': WEIGHTS.subarray(0, WEIGHTS.length - 1) });
    await expectRefusal(() => openOnce(cut), join(cut, 'adapter_model.safetensors'), {
      code: 'file_truncated',
      message: /truncated/,
    });
    const pointer = adapterWith(
      {},
      { 'adapter_model.safetensors': 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 123\n' },
    );
    await expectRefusal(() => openOnce(pointer), join(pointer, 'adapter_model.safetensors'), {
      code: 'git_lfs_pointer',
      message: /LFS/,
    });
    const none = adapterWith(
      {},
      { 'adapter_model.safetensors': Buffer.from('0200000000000000'.concat(Buffer.from('{}').toString('hex')), 'hex') },
    );
    await expectRefusal(() => openOnce(none), join(none, 'adapter_model.safetensors'), {
      code: 'adapter_empty',
      message: /no tensors/,
    });
    const header = Buffer.from('{"x.lora_A.weight":{"dtype":"I8","shape":[2],"data_offsets":[0,2]}}');
    const length = Buffer.alloc(8);
    length.writeUInt32LE(header.length);
    const integers = adapterWith({}, { 'adapter_model.safetensors': Buffer.concat([length, header, Buffer.alloc(2)]) });
    await expectRefusal(() => openOnce(integers), join(integers, 'adapter_model.safetensors'), {
      code: 'unsupported_dtype',
      message: /i8/,
      tensor: 'x.lora_A.weight',
    });
  });

  test('factors that ZeRO-3 left empty, and those of another dtype', async () => {
    const name = 'base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight';
    for (const [tensor, code] of [
      [['F32', [0]], 'empty_weights'],
      [['F8_E4M3', [3, 4]], 'unsupported_dtype'],
      [['F64', [3, 4]], 'unsupported_dtype'],
    ] as const) {
      const folder = adapterWith({}, { 'adapter_model.safetensors': rawSafetensors({ [name]: tensor }) });
      const file = join(folder, 'adapter_model.safetensors');
      await expectRefusal(() => openOnce(folder), file, { code, message: /lora_A/, tensor: name });
    }
  });

  test('a path that is none, a file, a FIFO and a link that leads out', async () => {
    const nowhere = join(tempFolder(), 'nowhere');
    await expectRefusal(() => openOnce(nowhere), nowhere, {
      code: 'not_found',
      message: /no such file or folder/,
      name: 'UsageError',
    });
    const file = join(adapterWith({}), 'adapter_model.safetensors');
    await expectRefusal(() => openOnce(file), file, { code: 'not_a_folder', message: /a folder/, name: 'UsageError' });
    const fifo = tempFolder({ 'adapter_config.json': JSON.stringify(CONFIG) });
    execFileSync('mkfifo', [join(fifo, 'adapter_model.safetensors')]);
    await expectRefusal(() => openOnce(fifo), join(fifo, 'adapter_model.safetensors'), {
      code: 'not_a_file',
      message: /FIFO/,
    });
    const linked = tempFolder();
    cpSync(config(LORA), config(linked));
    const outside = join(tempFolder(), 'secret');
    writeFileSync(outside, WEIGHTS);
    symlinkSync(outside, join(linked, 'adapter_model.safetensors'));
    await expectRefusal(() => openOnce(linked), join(linked, 'adapter_model.safetensors'), {
      code: 'outside_checkpoint',
      message: /leads out/,
    });
  });

  test.each([NaN, Infinity])('a scale of %s', async (scale) => {
    await expectRefusal(() => openOnce(LORA, scale), LORA, {
      code: 'bad_scale',
      message: /cannot be scaled/,
      name: 'UsageError',
    });
  });
});
