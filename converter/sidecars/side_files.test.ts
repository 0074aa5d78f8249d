import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { checkClient, sideFiles, type SideInput } from './side_files.ts';
import { readSidecar, readSidecars } from './sidecar.ts';
import { SHAPES_METADATA, SHAPES_ONNX } from './testing/shapes.ts';

const SHAPES = join(import.meta.dirname, '../../fixtures/shapes');
const NAMES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'preprocessor_config.json',
  'generation_config.json',
] as const;

async function input(more: Partial<SideInput> = {}): Promise<SideInput> {
  return {
    config: JSON.parse(await readFile(join(SHAPES, 'hf/config.json'), 'utf8')),
    sidecars: await readSidecars(new Map(NAMES.map((name) => [name, join(SHAPES, 'hf', name)]))),
    metadata: SHAPES_METADATA,
    emitted: SHAPES_ONNX,
    name: "it's mine",
    tool: { name: 'pgconv', version: '1.2.3' },
    source: { format: 'huggingface', files: ['model.safetensors'], dtypes: ['bf16'] },
    precision: 'int4',
    verifyCommand: 'pgconv verify x',
    ...more,
  };
}

const fileOf = (made: ReturnType<typeof sideFiles>, name: string) =>
  made.files.find((file) => file.name === name)!.text;

test('a bundle of shaders has tokenizer, processor and README; what only transformers.js reads is not in it', async () => {
  const [wgsl, onnx] = [sideFiles('wgsl', await input()), sideFiles('onnx', await input())];
  expect(wgsl.files.map(({ name }) => name).toSorted()).toEqual([
    'README.md',
    'preprocessor_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  expect(onnx.files.map(({ name }) => name).toSorted()).toEqual([
    'README.md',
    'config.json',
    'generation_config.json',
    'preprocessor_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
  for (const name of ['preprocessor_config.json', 'tokenizer.json', 'tokenizer_config.json'])
    expect(fileOf(wgsl, name)).toBe(fileOf(onnx, name));
  for (const { text } of wgsl.files) expect(text).not.toMatch(/transformers\.js|onnx/i);
});

test('its README shows the runtime in Node and in a browser, and its programs are JavaScript', async () => {
  const readme = fileOf(sideFiles('wgsl', await input()), 'README.md');
  const programs = [...readme.matchAll(/```js\n([^]*?)```/g)].map((match) => match[1]!);
  expect(programs).toHaveLength(2);
  for (const program of programs) {
    expect(program).toContain("import { load } from 'pgconv/runtime';");
    expect(program).toContain(String.raw`models/it\'s mine`);
    const AsyncFunction = (async () => {}).constructor as FunctionConstructor;
    expect(() => AsyncFunction(program.replace(/^import .*$/m, ''))).not.toThrow();
  }
  for (const text of [
    'WGSL int4',
    '`manifest.pgw`',
    '`model.safetensors`; weights in bf16',
    'pgconv verify x',
    String(SHAPES_METADATA.imageTokens),
  ])
    expect(readme).toContain(text);
  expect(readme).not.toContain('no tokenizer');
});

test('a bundle without a tokenizer says so', async () => {
  const made = sideFiles('wgsl', await input({ sidecars: new Map(), emitted: [] }));
  expect(made.files.map(({ name }) => name)).toEqual(['preprocessor_config.json', 'README.md']);
  expect(fileOf(made, 'README.md')).toContain('This bundle has no tokenizer');
  expect(made.notes.join()).toContain('--tokenizer');
  const given = sideFiles(
    'wgsl',
    await input({ sidecars: new Map(), tokenizer: await readSidecar(join(SHAPES, 'tokenizer.model')) }),
  );
  expect(given.files.map(({ name }) => name)).toContain('tokenizer.json');
});

test('big_vision’s resize is in the processor config', async () => {
  const resample = async (reference: 'huggingface' | 'bigvision') =>
    (
      JSON.parse(
        fileOf(sideFiles('wgsl', await input({ sidecars: new Map(), reference })), 'preprocessor_config.json'),
      ) as { resample: number }
    ).resample;
  expect([await resample('huggingface'), await resample('bigvision')]).toEqual([3, 2]);
});

test('a ColPali is for ONNX', () => {
  const colpali = { ...SHAPES_METADATA, retrievalWidth: 8 };
  expect(() => checkClient('wgsl', colpali)).toThrow(
    expect.objectContaining({ exitCode: 2, place: { hint: 'convert --to onnx' } }),
  );
  expect(() => checkClient('onnx', colpali)).not.toThrow();
  expect(() => checkClient('wgsl', SHAPES_METADATA)).not.toThrow();
});
