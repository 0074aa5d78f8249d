import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AutoConfig, AutoProcessor, AutoTokenizer, env, RawImage, type Tensor } from '@huggingface/transformers';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { SidecarName } from '../checkpoints/checkpoint.ts';
import { buildPrompt } from '../text/prompt.ts';
import { loadTokenizer } from '../text/tokenizer.ts';
import { inputsOfTests, openAll } from '../inputs/testing/inputs_of_tests.ts';
import { preparedFiles, type CheckpointFiles } from './prepared_files.ts';
import { readSidecar, readSidecars, type JsonFields } from './sidecar.ts';
import { SHAPES_METADATA } from '../../backends/testing/shapes.ts';
import { clientConfig } from '../../backends/onnx/client/client_config.ts';
import { onnxFilesOf } from '../../backends/onnx/client/onnx_files.ts';
import { SHAPES_ONNX } from '../../backends/onnx/testing/shapes.ts';
import type { ClientFile } from '../../backends/client_files.ts';

const inputs = inputsOfTests();
const SHAPES = join(import.meta.dirname, '../../fixtures/shapes');
const SIDECARS = [
  'tokenizer.json',
  'tokenizer_config.json',
  'preprocessor_config.json',
  'generation_config.json',
] as const;
const evaluation = JSON.parse(await readFile(join(SHAPES, 'eval.json'), 'utf8')) as {
  cases: { image: string; prompt: string; tokens: number[]; text: string }[];
};
let models: string;

beforeAll(async () => {
  models = await mkdtemp(join(tmpdir(), 'pgconv-client-'));
  env.allowRemoteModels = false;
  env.localModelPath = `${models}/`;
});
afterAll(() => rm(models, { recursive: true }));

const sidecars = async (...names: SidecarName[]) =>
  readSidecars(
    await openAll(
      inputs(),
      names.map((name) => [name, join(SHAPES, 'hf', name)] as const),
    ),
  );
const config = JSON.parse(await readFile(join(SHAPES, 'hf/config.json'), 'utf8')) as JsonFields;

/** All of them, as transformers.js reads them. */
interface Made {
  readonly files: readonly ClientFile[];
  readonly notes: readonly string[];
  readonly usage: readonly string[];
}

function filesOf(input: Omit<CheckpointFiles, 'metadata'>): Made {
  const prepared = preparedFiles({ ...input, metadata: SHAPES_METADATA });
  const parts = [
    clientConfig(prepared.config(), onnxFilesOf(SHAPES_ONNX)),
    prepared.preprocessor(),
    prepared.tokenizer(),
    prepared.generationConfig(),
  ];
  return {
    files: parts.flatMap(({ value }) => value),
    notes: parts.flatMap(({ notes }) => notes),
    usage: parts.flatMap(({ usage = [] }) => usage),
  };
}

async function write(name: string, { files }: Made): Promise<string> {
  await mkdir(join(models, name));
  await Promise.all(files.map(({ name: file, text }) => writeFile(join(models, name, file), text)));
  return name;
}

async function fromHuggingFace(): Promise<Made> {
  return filesOf({
    config,
    sidecars: await sidecars(...SIDECARS),
  });
}
async function fromBigVision(): Promise<Made> {
  return filesOf({
    config: undefined,
    sidecars: new Map(),
    tokenizer: await readSidecar(await inputs().open(join(SHAPES, 'tokenizer.model'))),
  });
}

interface Inputs {
  input_ids: Tensor;
  attention_mask: Tensor;
  pixel_values: Tensor;
}
/** The client's types know neither the processor's call nor its fields. */
const call = (processor: object) => processor as unknown as (image: RawImage, text: string) => Promise<Inputs>;
const idsOf = (tensor: Tensor) => (tensor.tolist() as bigint[][])[0]!.map(Number);

describe.each([
  ['a Hugging Face checkpoint', 'huggingface', fromHuggingFace],
  ['a big_vision checkpoint and tokenizer.model', 'bigvision', fromBigVision],
])('the client opens what is made of %s', (_, name, make) => {
  beforeAll(async () => void (await write(name, await make())));

  test('its processor gives the ids and pixels of the reference', async () => {
    const processor = await AutoProcessor.from_pretrained(name);
    expect(processor.constructor.name).toBe('PaliGemmaProcessor');
    const image = await RawImage.read(join(SHAPES, 'images/000.png'));
    const inputs = await call(processor)(image, '<image>detect green circle');
    // transformers 5.17, AutoTokenizer of fixtures/shapes/hf
    expect(idsOf(inputs.input_ids)).toEqual([...Array.from({ length: 64 }, () => 1538), 2, 307, 340, 327, 282, 4]);
    expect(inputs.pixel_values.dims).toEqual([1, 3, 112, 112]);
    const [least, most] = (inputs.pixel_values.data as Float32Array).reduce(
      ([low, high], x) => [Math.min(low, x), Math.max(high, x)],
      [Infinity, -Infinity],
    );
    expect(least).toBeGreaterThanOrEqual(-1);
    expect(most).toBeLessThanOrEqual(1);
    expect(most - least).toBeGreaterThan(0.5);
  });

  test('every prompt of the evaluation becomes what buildPrompt makes of it', async () => {
    const processor = await AutoProcessor.from_pretrained(name);
    const json = JSON.parse(await readFile(join(models, name, 'tokenizer.json'), 'utf8')) as object;
    const tokenizer = loadTokenizer(json);
    const image = await RawImage.read(join(SHAPES, 'images/000.png'));
    const prompts = [...new Set(evaluation.cases.map((sample) => sample.prompt))];
    const inputs = await Promise.all(prompts.map((prompt) => call(processor)(image, `<image>${prompt}`)));
    expect(prompts.length).toBeGreaterThan(10);
    for (const [i, prompt] of prompts.entries()) {
      const { input_ids, attention_mask } = inputs[i]!;
      expect(idsOf(input_ids)).toEqual(buildPrompt(tokenizer, { imageTokens: 64, prompt }));
      expect(idsOf(attention_mask).every((bit) => bit === 1)).toBe(true);
    }
  });

  test('its tokenizer decodes the answers of the reference', async () => {
    const tokenizer = await AutoTokenizer.from_pretrained(name);
    for (const { tokens, text } of evaluation.cases)
      expect(tokenizer.decode(tokens, { skip_special_tokens: true })).toBe(text);
    expect(tokenizer.decode(idsOf((tokenizer('are there ? yes .') as { input_ids: Tensor }).input_ids))).toBe(
      'are there ? yes .',
    );
    expect(tokenizer.padding_side).toBe('left');
    expect([tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, tokenizer.unk_token_id]).toEqual([
      2, 1, 0, 3,
    ]);
  });

  test('its config names the files and the shape of the cache', async () => {
    const read = await AutoConfig.from_pretrained(name);
    expect(read).toMatchObject({
      model_type: 'paligemma',
      architectures: ['PaliGemmaForConditionalGeneration'],
      image_token_index: 1538,
      eos_token_id: 1,
      text_config: { model_type: 'gemma' },
    });
    expect((read as unknown as { normalized_config: object }).normalized_config).toMatchObject({
      num_heads: 1,
      num_layers: 4,
      dim_kv: 32,
    });
    expect(read['transformers.js_config']).toEqual({
      dtype: { embed_tokens: 'fp16', vision_encoder: 'fp16', decoder_model_merged: 'fp16' },
      use_external_data_format: { 'embed_tokens_fp16.onnx': 1, 'decoder_model_merged_fp16.onnx': 2 },
    });
  });
});

test('what needs no correction gets no word', async () => {
  const { notes, usage } = await fromHuggingFace();
  expect(notes).toEqual([
    'generation_config.json: added max_new_tokens 256, as the client would stop at 20 tokens, those of the image included.',
  ]);
  expect(usage).toEqual([]);
});

test('flat, nested and no processor files, tokenizer.json and tokenizer.model: the same processor and tokenizer, byte for byte', async () => {
  const PROCESSORS = join(SHAPES, '../processors');
  const at = async (entries: [SidecarName, string][]) =>
    filesOf({
      config,
      sidecars: await readSidecars(await openAll(inputs(), entries)),
    });
  const own: [SidecarName, string][] = [['generation_config.json', join(SHAPES, 'hf/generation_config.json')]];
  const flat = await fromHuggingFace();
  const nested = await at([
    ...own,
    ...(['processor_config.json', 'tokenizer.json', 'tokenizer_config.json'] as const).map(
      (name): [SidecarName, string] => [name, join(PROCESSORS, 'transformers5', name)],
    ),
  ]);
  const none = await at([...own, ['tokenizer.model', join(SHAPES, 'tokenizer.model')]]);
  expect(flat.files.map((file) => file.name)).toEqual([
    'config.json',
    'preprocessor_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
    'generation_config.json',
  ]);
  expect(nested.files).toEqual(flat.files);
  expect(none.files).toEqual(flat.files);
  // Where they came from is said beside the files, not in them.
  expect(new Set([flat, nested, none].map(({ notes }) => notes.join())).size).toBe(3);
  expect([flat, nested, none].map(({ usage }) => usage)).toEqual([[], [], []]);
});

test('what is derived is said', async () => {
  const { notes } = await fromBigVision();
  expect(notes.map((note) => /^[^,.]*\.json: [^,.]*/.exec(note)?.[0])).toEqual([
    'config.json: derived from the sizes of the weights',
    "preprocessor_config.json: derived from the model's sizes",
    'tokenizer.json: converted from the SentencePiece model',
    'tokenizer.json: added <image> with the id 1538',
    "tokenizer_config.json: made for Gemma's tokenizer",
    "generation_config.json: made from the model's token ids",
  ]);
});

test('without a tokenizer its files are left out, and it is said how to supply it', async () => {
  const { files, notes } = filesOf({
    config,
    sidecars: await sidecars('preprocessor_config.json', 'tokenizer_config.json'),
  });
  expect(files.map((file) => file.name)).toEqual(['config.json', 'preprocessor_config.json', 'generation_config.json']);
  expect(notes.find((note) => note.includes('--tokenizer'))).toMatch(
    /tokenizer\.json and tokenizer_config\.json are missing/,
  );
});

test('the tokenizer that the user names comes before the checkpoint’s', async () => {
  const named = await readSidecar(await inputs().open(join(SHAPES, 'tokenizer.model')));
  const { notes } = filesOf({
    config,
    sidecars: await sidecars(...SIDECARS),
    tokenizer: named,
  });
  expect(notes).toContain('tokenizer.json: converted from the SentencePiece model.');
});
