import { expect, test } from 'vitest';
import { parseModule, programsIn, README_FACTS, RETRIEVAL } from '../testing/readme_facts.ts';
import { readme as tfjsReadme } from '../tfjs/readme.ts';
import { readme as wgslReadme } from '../wgsl/readme.ts';
import type { ReadmeInput } from './readme_input.ts';

const input: ReadmeInput = { ...README_FACTS, name: "it's mine", hasTokenizer: true, notes: ['Mind the gap.'] };

test.each([
  ['tfjs', tfjsReadme, 'pgconv/tfjs', ['TensorFlow.js fp16', '`tfjs.json`', 'The driver puts 64 image tokens']],
  ['wgsl', wgslReadme, 'pgconv/runtime', ['WGSL fp16', '`manifest.pgw`', 'The runtime puts 64 image tokens']],
])('%s: shows its runtime in Node and in a browser, in programs that parse', (_, readme, runtime, said) => {
  const text = readme(input);
  const [node, browser, objects] = programsIn(text);
  const programs = [node!, browser!];
  for (const program of programs) {
    expect(program).toContain(`import { load } from '${runtime}';`);
    expect(program).toContain(String.raw`models/it\'s mine`);
    expect(program).toContain(String.raw`prompt: 'say what\'s there'`);
    expect(() => parseModule(program)).not.toThrow();
  }
  const common = ['Answers what is asked', 'It knows `count`.', '- Mind the gap.', 'weights in f32', 'those are free.'];
  for (const part of [...said, ...common, 'pgconv verify shapes-fp16 CHECKPOINT']) expect(text).toContain(part);
  expect(text).not.toMatch(/no tokenizer|undefined|\[object|transformers\.js|onnx/i);
  expect(readme({ ...input, hasTokenizer: false })).toContain('This bundle has no tokenizer');
  expect(text).not.toContain('Calibration');
  expect(readme({ ...input, calibration: 'all won.' })).toContain('fp16. Calibration: all won.');
  expect(readme({ ...input, notes: [] })).not.toContain('## Notes');
  expect(() => parseModule(objects!)).not.toThrow();
  expect(objects).toContain(String.raw`model.generateObjects({ image: photo, prompt: 'outline it' })`);
  expect(objects).not.toContain('mask');
  const masked = { ...input, metadata: { ...input.metadata, maskSize: 64 } };
  expect(programsIn(readme(masked))[2]).toContain('seen.mask');
  expect(() => readme({ ...input, use: RETRIEVAL })).toThrow('gives no answers');
});
