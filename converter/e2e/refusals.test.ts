import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { writeBigVisionVariant } from '../../fixtures/variants/big_vision.ts';
import { writeHuggingFaceVariant, type HuggingFaceVariant } from '../../fixtures/variants/hugging_face.ts';
import { GENERATIONS } from '../../fixtures/variants/spellings.ts';
import { tensorData, tensorOf, type TensorData } from '../../ir/tensor.ts';
import { writeSafetensors } from '../checkpoints/safetensors_writer.ts';
import { makeZip } from '../checkpoints/testing/make_zip.ts';
import { convert } from '../compile/convert.ts';
import { PgconvError } from '../errors.ts';
import { silentReporter } from '../terminal/reporter.ts';
import { tempFolders } from '../testing/bundle.ts';

const folder = tempFolders();
type Write = (dir: string) => Promise<unknown>;

/** What `convert` says of the checkpoint that `write` makes, of `given` in it; nothing may be left behind. */
async function refusalOf(write: Write, given: (dir: string) => string | readonly string[]): Promise<PgconvError> {
  const root = await folder();
  const dir = join(root, 'checkpoint');
  await mkdir(dir);
  await write(dir);
  const error = await convert(
    { checkpoint: given(dir), backend: 'onnx', precision: 'fp16', out: join(root, 'out'), verify: false },
    silentReporter,
  ).then(
    () => undefined,
    (e: unknown) => e,
  );
  expect((await readdir(root)).toSorted()).toEqual(['checkpoint']);
  if (!(error instanceof PgconvError)) throw new Error('no typed error', { cause: error });
  return error;
}

function files(contents: Readonly<Record<string, string | Uint8Array>>): Write {
  return async (dir) => {
    for (const [name, content] of Object.entries(contents)) {
      await mkdir(dirname(join(dir, name)), { recursive: true });
      await writeFile(join(dir, name), content);
    }
  };
}

const some = (shape: readonly number[] = [2], dtype: TensorData['dtype'] = 'f32') =>
  tensorData(tensorOf(dtype, shape, new Float32Array(shape.reduce((a, b) => a * b, 1))));
const HF = 'fixtures/pg1-tiny/hf';
const hf =
  (variant: Partial<HuggingFaceVariant>): Write =>
  (dir) =>
    writeHuggingFaceVariant({ name: 'x', spelling: GENERATIONS.a, ...variant }, HF, dir);

/** A folder of these tensors and this config. */
function model(names: readonly string[], config?: unknown): Write {
  return async (dir) => {
    await writeSafetensors(
      join(dir, 'model.safetensors'),
      names.map((name) => ({ name, data: some() })),
    );
    if (config !== undefined) await writeFile(join(dir, 'config.json'), JSON.stringify(config));
  };
}
const DECODER = ['model.embed_tokens.weight', 'model.layers.0.self_attn.q_proj.weight', 'model.norm.weight'];

/** Arrays of pg1-tiny that pass `keep`, in one file. */
const npz =
  (keep: (name: string) => boolean, more: Readonly<Record<string, TensorData>> = {}): Write =>
  (dir) =>
    writeBigVisionVariant(
      {
        name: 'x',
        files: (tensors) => ({
          'model.npz': new Map([...[...tensors].filter(([name]) => keep(name)), ...Object.entries(more)]),
        }),
      },
      'fixtures/pg1-tiny/bv_f32.npz',
      dir,
    );

const whole = (dir: string) => dir;
const inside = (name: string) => (dir: string) => join(dir, name);
/** A zip as torch.save writes it. */
const torchZip = makeZip([{ name: 'model/data.pkl', data: new Uint8Array(4) }]);
const torchOld = Buffer.from('80028a0a6cfc9c46f920', 'hex');
const index = (shard: string) => JSON.stringify({ metadata: {}, weight_map: { 'lm_head.weight': shard } });

describe('refused by name, with what to do instead', () => {
  test.each<[string, Write, (dir: string) => string | readonly string[], string, RegExp, RegExp]>([
    [
      'Orbax: a folder',
      files({ _METADATA: '{}', _sharding: '{}', 'manifest.ocdbt': 'x', 'd/0a': 'x' }),
      whole,
      'unsupported_format',
      /Orbax, TensorStore or OCDBT/,
      /numpy\.savez/,
    ],
    [
      'Orbax: of today',
      files({ _CHECKPOINT_METADATA: '{}', 'ocdbt.process_0/manifest.ocdbt': 'x' }),
      whole,
      'unsupported_format',
      /Orbax/,
      /numpy\.savez/,
    ],
    [
      'Orbax: a step with its items',
      files({ _CHECKPOINT_METADATA: '{}', 'default/_METADATA': '{}' }),
      whole,
      'unsupported_format',
      /Orbax/,
      /numpy\.savez/,
    ],
    ['Orbax: its file', files({ _METADATA: '{}' }), inside('_METADATA'), 'unsupported_format', /Orbax/, /numpy\.savez/],
    [
      'TensorStore: an array a folder',
      files({ 'chrono~steps/.zarray': '{}', 'params~img~embedding~kernel/.zarray': '{}' }),
      whole,
      'unsupported_format',
      /TensorStore/,
      /numpy\.savez/,
    ],
    [
      'OCDBT alone',
      files({ 'manifest.ocdbt': 'x', 'd/1b': 'x' }),
      whole,
      'unsupported_format',
      /OCDBT/,
      /numpy\.savez/,
    ],
    [
      'big_vision’s -LAST, the folder',
      files({ 'checkpoint.bv-LAST': '000012345', 'checkpoint.bv-000012345/manifest.ocdbt': 'x' }),
      whole,
      'unsupported_format',
      /TensorStore/,
      /numpy\.savez/,
    ],
    [
      'big_vision’s -LAST, the file',
      files({ 'checkpoint.bv-LAST': '000012345-tmp' }),
      inside('checkpoint.bv-LAST'),
      'unsupported_format',
      /TensorStore/,
      /numpy\.savez/,
    ],
    [
      'a -LAST with a selector',
      files({ 'checkpoint.bv-LAST': '000012345' }),
      (dir) => `${dir}/checkpoint.bv-LAST:img`,
      'unsupported_format',
      /TensorStore/,
      /numpy\.savez/,
    ],
    [
      '.bin: a folder',
      files({ 'config.json': '{}', 'pytorch_model.bin': torchZip }),
      whole,
      'pickle_refused',
      /PyTorch pickle/,
      /safe_serialization=True/,
    ],
    [
      '.bin: shards',
      files({
        'config.json': '{}',
        'pytorch_model.bin.index.json': index('pytorch_model-00001-of-00002.bin'),
        'pytorch_model-00001-of-00002.bin': torchZip,
      }),
      whole,
      'pickle_refused',
      /PyTorch pickle/,
      /save_pretrained/,
    ],
    [
      '.bin: the file, a zip',
      files({ 'pytorch_model.bin': torchZip }),
      inside('pytorch_model.bin'),
      'pickle_refused',
      /PyTorch pickle/,
      /save_pretrained/,
    ],
    [
      '.bin: the file, of an old torch',
      files({ 'pytorch_model.bin': torchOld }),
      inside('pytorch_model.bin'),
      'pickle_refused',
      /PyTorch pickle/,
      /save_pretrained/,
    ],
    [
      '.bin: in a safetensors index',
      files({ 'config.json': '{}', 'model.safetensors.index.json': index('pytorch_model-00001-of-00001.bin') }),
      whole,
      'pickle_refused',
      /PyTorch pickle/,
      /save_pretrained/,
    ],
    [
      '.pt: a folder',
      files({ 'model.pt': torchZip }),
      whole,
      'pickle_refused',
      /PyTorch pickle/,
      /torch\.load.*save_file/,
    ],
    [
      '.pt: the file',
      files({ 'model.pt': torchZip }),
      inside('model.pt'),
      'pickle_refused',
      /PyTorch pickle/,
      /torch\.load.*save_file/,
    ],
    [
      '.pth: a folder',
      files({ 'consolidated.00.pth': torchOld, 'params.json': '{}' }),
      whole,
      'pickle_refused',
      /PyTorch pickle/,
      /torch\.load.*save_file/,
    ],
    [
      '.pth under the name of an .npz',
      files({ 'model.npz': torchZip }),
      whole,
      'pickle_refused',
      /PyTorch pickle/,
      /torch\.load.*save_file/,
    ],
    [
      'ShieldGemma 2',
      model(
        [
          'language_model.model.layers.0.self_attn.q_proj.weight',
          'vision_tower.vision_model.embeddings.patch_embedding.weight',
          'multi_modal_projector.mm_input_projection_weight',
        ],
        { model_type: 'shieldgemma2' },
      ),
      whole,
      'unsupported_family',
      /ShieldGemma 2, which is a Gemma 3, not a PaliGemma/,
      /give a PaliGemma/,
    ],
    [
      'Gemma 3, without its config',
      model(['language_model.model.layers.0.self_attn.q_proj.weight', 'multi_modal_projector.mm_soft_emb_norm.weight']),
      whole,
      'unsupported_family',
      /a Gemma 3, not a PaliGemma/,
      /give a PaliGemma/,
    ],
    [
      'Gemma',
      model(DECODER, { model_type: 'gemma' }),
      whole,
      'unsupported_family',
      /this is Gemma, a language model without an image tower/,
      /google\/paligemma-/,
    ],
    [
      'Gemma 2, a file without a config',
      model([...DECODER, 'model.layers.0.pre_feedforward_layernorm.weight']),
      inside('model.safetensors'),
      'unsupported_family',
      /this is Gemma 2, a language model/,
      /google\/paligemma2-/,
    ],
    [
      'Gemma of big_vision',
      npz(() => false, { 'params/embedder/input_embedding': some(), 'params/final_norm/scale': some() }),
      whole,
      'unsupported_family',
      /this is Gemma/,
      /img\/ and llm\//,
    ],
    [
      'Gemma under llm/',
      npz((name) => name.startsWith('llm/')),
      whole,
      'missing_subtree',
      /a language model \(llm\/\) and no image tower/,
      /model\.npz:llm \.\/other\.npz:img/,
    ],
    [
      'only the image tower, selected',
      npz(() => true),
      (dir) => `${dir}/model.npz:img`,
      'missing_subtree',
      /an image tower \(img\/\) and no language model \(llm\/\)/,
      /model\.npz:img \.\/other\.npz:llm/,
    ],
    [
      'SigLIP',
      npz((name) => name.startsWith('img/'), { 'txt/head/kernel': some(), t: some([1]) }),
      whole,
      'missing_subtree',
      /this is SigLIP/,
      /:llm/,
    ],
    [
      'SigLIP’s pooling head on a PaliGemma',
      npz(() => true, { 'img/MAPHead_0/probe': some([1, 1, 48]) }),
      whole,
      'unsupported_image_tower',
      /pooling head, "img\/MAPHead_0\/probe"/,
      /another model/,
    ],
    [
      'bitsandbytes',
      hf({
        beside: (tensors) =>
          new Map([['language_model.model.layers.0.self_attn.q_proj.weight.absmax', [...tensors.values()][0]!]]),
        config: (config) => ({ ...config, quantization_config: { quant_method: 'bitsandbytes', load_in_4bit: true } }),
      }),
      whole,
      'quantized_checkpoint',
      /quantized with bitsandbytes/,
      /model\.dequantize\(\)/,
    ],
    [
      'GPTQ',
      hf({
        beside: () =>
          new Map([
            ['language_model.model.layers.0.mlp.up_proj.qzeros', some([2], 'i32')],
            ['language_model.model.layers.0.mlp.up_proj.g_idx', some([2], 'i32')],
          ]),
      }),
      whole,
      'quantized_checkpoint',
      /quantized with GPTQ/,
      /made from/,
    ],
    [
      'AWQ',
      hf({
        beside: () => new Map([['language_model.model.layers.0.mlp.up_proj.qzeros', some([2], 'i32')]]),
        config: (config) => ({ ...config, quantization_config: { quant_method: 'awq' } }),
      }),
      whole,
      'quantized_checkpoint',
      /quantized with AWQ/,
      /made from/,
    ],
    [
      'an adapter’s folder',
      files({ 'adapter_config.json': '{}', 'adapter_model.safetensors': '\u0002\0\0\0\0\0\0\0{}' }),
      whole,
      'adapter_only',
      /a PEFT adapter, not a model/,
      /--adapter/,
    ],
    [
      'an adapter’s file',
      model([
        'base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.weight',
        'base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_B.weight',
      ]),
      inside('model.safetensors'),
      'adapter_only',
      /a PEFT adapter, not a model/,
      /--adapter/,
    ],
    [
      'a PEFT model that was saved unmerged',
      hf({
        beside: () =>
          new Map([['base_model.model.model.language_model.layers.0.self_attn.q_proj.lora_A.default.weight', some()]]),
      }),
      whole,
      'unmerged_adapter',
      /was not merged/,
      /merge_and_unload/,
    ],
    [
      'two exports in one folder',
      hf({
        beside: (tensors) =>
          new Map([['model.language_model.norm.weight', tensors.get('language_model.norm.weight')!]]),
      }),
      whole,
      'duplicate_tensor',
      /"language_model\.model\.norm\.weight" and "model\.language_model\.norm\.weight"/,
      /keep the files of one/,
    ],
    [
      'LLaVA',
      model(
        [
          ...DECODER.map((name) => `language_model.${name}`),
          'vision_tower.vision_model.embeddings.class_embedding',
          'multi_modal_projector.linear_1.weight',
        ],
        { model_type: 'llava' },
      ),
      whole,
      'unknown_family',
      /no supported model/,
      /pgconv converts/,
    ],
    [
      'Idefics',
      model(
        [
          'model.text_model.layers.0.self_attn.q_proj.weight',
          'model.vision_model.post_layernorm.weight',
          'model.connector.modality_projection.proj.weight',
        ],
        { model_type: 'idefics3' },
      ),
      whole,
      'unknown_family',
      /no supported model/,
      /pgconv converts/,
    ],
  ])('%s', async (_, write, given, code, message, hint) => {
    const error = await refusalOf(write, given);
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.place.hint).toMatch(hint);
    expect(error.place.file).toContain('checkpoint');
    expect(error.exitCode).toBe(3);
  });
});
