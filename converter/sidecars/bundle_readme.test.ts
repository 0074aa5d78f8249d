import * as client from '@huggingface/transformers';
import { expect, test } from 'vitest';
import { bundleReadme, type BundleReadmeInput } from './bundle_readme.ts';
import { onnxFilesOf } from './onnx_files.ts';
import { SHAPES_METADATA, SHAPES_ONNX } from './testing/shapes.ts';

const input: BundleReadmeInput = {
  metadata: SHAPES_METADATA,
  name: 'shapes-fp16',
  tool: { name: 'pgconv', version: '9.8.7' },
  source: { format: 'big_vision', files: ['bv_f32.npz'], dtypes: ['f32'] },
  precision: 'fp16',
  onnxFiles: onnxFilesOf(SHAPES_ONNX),
  hasTokenizer: true,
  verifyCommand: 'pgconv verify shapes-fp16 CHECKPOINT',
  notes: ['config.json: derived.'],
};
const programs = (text: string) => [...text.matchAll(/```js\n([^]*?)```/g)].map((match) => match[1]!);

test('says what the bundle is and from what', () => {
  const text = bundleReadme(input);
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
  const [node, browser, ...rest] = programs(bundleReadme(input));
  expect(rest).toEqual([]);
  for (const program of [node!, browser!]) {
    const [line, ...body] = program.split('\n');
    const names = /^import \{ (.*) \} from /.exec(line!)![1]!.split(', ');
    for (const name of names) expect(client).toHaveProperty(name);
    // oxlint-disable-next-line typescript/no-implied-eval -- only parses what the README shows
    expect(() => new Function(`return async () => {${body.join('\n')}}`)).not.toThrow();
    expect(program).toContain("dtype: { embed_tokens: 'fp16', vision_encoder: 'fp16', decoder_model_merged: 'fp16' }");
  }
  expect(browser).toContain('@huggingface/transformers@4.3.1');
  expect(browser).toContain("device: 'webgpu'");
});

test('a ColPali’s shows how to rank a page, and not how to get an answer', () => {
  const text = bundleReadme({ ...input, metadata: { ...SHAPES_METADATA, retrievalWidth: 128 } });
  expect(text).toContain('one vector of 128 numbers a token');
  for (const program of programs(text)) {
    expect(program).not.toContain('generate');
    expect(program.split('\n')[0]).toContain('Tensor');
    // oxlint-disable-next-line typescript/no-implied-eval -- only parses what the README shows
    expect(() => new Function(`return async () => {${program.split('\n').slice(1).join('\n')}}`)).not.toThrow();
    expect(program).toContain(String.raw`'<pad>'.repeat(10) + '\n'`);
  }
});

test('any folder name is a string in the programs', () => {
  for (const program of programs(bundleReadme({ ...input, name: "it's\\here" })))
    expect(program).toContain(String.raw`from_pretrained('it\'s\\here')`);
});

test('a bundle whose only folder is not the default says so', () => {
  const onnxFiles = onnxFilesOf(SHAPES_ONNX.map((path) => path.replace('onnx/', 'onnx-ort/')));
  for (const program of programs(bundleReadme({ ...input, onnxFiles })))
    expect(program).toContain("subfolder: 'onnx-ort'");
});

test('a missing tokenizer is said where it is missed', () => {
  expect(bundleReadme({ ...input, hasTokenizer: false })).toContain('--tokenizer');
  expect(bundleReadme({ ...input, notes: [] })).not.toContain('## Notes');
});
