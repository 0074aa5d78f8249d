import * as client from '@huggingface/transformers';
import { expect, test } from 'vitest';
import * as answers from '../../client/answers/index.ts';
import * as integrity from '../../client/integrity/index.ts';
import { parseModule, programsIn, README_FACTS, RETRIEVAL } from '../../testing/readme_facts.ts';
import { SHAPES_ONNX } from '../testing/shapes.ts';
import { onnxFilesOf } from './onnx_files.ts';
import { onnxReadme, type OnnxReadmeInput } from './readme.ts';

const input: OnnxReadmeInput = {
  ...README_FACTS,
  onnxFiles: onnxFilesOf(SHAPES_ONNX),
  modelClass: 'PaliGemmaForConditionalGeneration',
  hasTokenizer: true,
  notes: ['config.json: derived.'],
};

/** The programs that run it, without those that check it or go on with what it said. */
const runningIn = (text: string) =>
  programsIn(text).filter((program) => !/pgconv\/(?:integrity|answers)/.test(program));

test('says what the bundle is and from what', () => {
  const text = onnxReadme(input);
  for (const said of [
    'paligemma-shapes',
    '112x112',
    'fp16',
    'pgconv 9.8.7',
    'bv_f32.npz',
    'weights in f32',
    '64 (id 1538)',
    'pgconv verify shapes-fp16 CHECKPOINT',
    'config.json: derived.',
    '<image>',
    'resample',
    'exactly 112x112 pixels',
  ])
    expect(text).toContain(said);
  expect(text).not.toMatch(/undefined|\[object/);
});

test('its programs parse, import what the client has, and ask for the files that are there', () => {
  const [node, browser] = runningIn(onnxReadme(input));
  for (const program of [node!, browser!]) {
    const [line] = program.split('\n');
    const names = /^import \{ (.*) \} from /.exec(line!)![1]!.split(', ');
    for (const name of names) expect(client).toHaveProperty(name);
    expect(() => parseModule(program)).not.toThrow();
    expect(program).toContain("dtype: { embed_tokens: 'fp16', vision_encoder: 'fp16', decoder_model_merged: 'fp16' }");
  }
  expect(browser).toContain('@huggingface/transformers@4.3.1');
  expect(browser).toContain("device: 'webgpu'");
});

test('shows how its files are checked, by what pgconv/integrity has', () => {
  const programs = programsIn(onnxReadme(input)).filter((program) => program.includes('pgconv/integrity'));
  expect(programs).toHaveLength(2);
  for (const program of programs) {
    const names = /^import \{ (.*) \} from 'pgconv\/integrity';/.exec(program)![1]!.split(', ');
    for (const name of names) expect(integrity).toHaveProperty(name);
  }
});

test('shows objects, and masks where there is a decoder, by what pgconv/answers has', () => {
  const masked = onnxReadme({
    ...input,
    name: "it's",
    metadata: { ...input.metadata, maskSize: 64 },
    onnxFiles: onnxFilesOf([...SHAPES_ONNX, 'onnx/mask_decoder_fp16.onnx', 'onnx/mask_decoder_fp16.onnx_data']),
  });
  for (const text of [onnxReadme(input), masked]) {
    const programs = programsIn(text).filter((program) => program.includes('pgconv/answers'));
    expect(programs).toHaveLength(1);
    const names = /^import \{ (.*) \} from 'pgconv\/answers';/.exec(programs[0]!)![1]!.split(', ');
    for (const name of names) expect(answers).toHaveProperty(name);
    for (const program of programsIn(text)) expect(() => parseModule(program)).not.toThrow();
  }
  expect(masked).toContain(String.raw`InferenceSession.create('./models/it\'s/onnx/mask_decoder_fp16.onnx')`);
  expect(masked).toContain(String.raw`data: '/models/it\'s/onnx/mask_decoder_fp16.onnx_data'`);
  expect(onnxReadme(input)).not.toContain('mask_decoder');
});

test('that of a model for retrieval shows how to rank a page, and not how to get an answer', () => {
  const text = onnxReadme({ ...input, use: RETRIEVAL });
  expect(text).toContain('A page is `<image>Look at it.`');
  for (const program of runningIn(text)) {
    expect(program).not.toContain('generate');
    expect(program.split('\n')[0]).toContain('Tensor');
    expect(() => parseModule(program)).not.toThrow();
    expect(program).toContain(String.raw`'<pad>'.repeat(10) + '\n'`);
  }
});

test('any folder name is a string in the programs', () => {
  const text = onnxReadme({ ...input, name: "it's\\here" });
  for (const program of runningIn(text)) expect(program).toContain(String.raw`from_pretrained('it\'s\\here')`);
  for (const program of programsIn(text).filter((each) => !each.includes('pgconv/answers'))) {
    expect(program).toContain(String.raw`it\'s\\here`);
    expect(() => parseModule(program)).not.toThrow();
  }
});

test('a bundle whose only folder is not the default says so', () => {
  const onnxFiles = onnxFilesOf(SHAPES_ONNX.map((path) => path.replace('onnx/', 'onnx-ort/')));
  for (const program of runningIn(onnxReadme({ ...input, onnxFiles })))
    expect(program).toContain("subfolder: 'onnx-ort'");
});

test('a missing tokenizer is said where it is missed', () => {
  expect(onnxReadme({ ...input, hasTokenizer: false })).toContain('--tokenizer');
  expect(onnxReadme({ ...input, notes: [] })).not.toContain('## Notes');
});

test('says what f16 needs of a GPU where values are in it, and how to serve the runtime’s own files', () => {
  for (const precision of ['fp16', 'q4f16', 'fp32', 'int8', 'int4'] as const) {
    const text = onnxReadme({ ...input, precision });
    expect(text.includes('shader-f16'), precision).toBe(['fp16', 'q4f16'].includes(precision));
    expect(text).toContain("env.backends.onnx.wasm.wasmPaths = '/ort/';");
  }
});
