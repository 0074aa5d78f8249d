import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { onnx } from '../../backends/onnx/index.ts';
import { SHAPES_ONNX } from '../../backends/onnx/testing/shapes.ts';
import { README_FACTS } from '../../backends/testing/readme_facts.ts';
import { SHAPES_METADATA } from '../../backends/testing/shapes.ts';
import { tfjs } from '../../backends/tfjs/index.ts';
import { wgsl } from '../../backends/wgsl/index.ts';
import type { Backend } from '../../backends/backend.ts';
import type { ClientFiles } from '../../backends/client_files.ts';
import { inputsOfTests, openAll } from '../inputs/testing/inputs_of_tests.ts';
import { preparedFiles, type CheckpointFiles } from '../sidecars/prepared_files.ts';
import { parseSidecar, readSidecar, readSidecars } from '../sidecars/sidecar.ts';
import { sidecarOf } from '../sidecars/testing/sidecar_of.ts';

const inputs = inputsOfTests();
const SHAPES = join(import.meta.dirname, '../../fixtures/shapes');
const NAMES = [
  'tokenizer.json',
  'tokenizer_config.json',
  'preprocessor_config.json',
  'generation_config.json',
] as const;

/** What a backend puts beside the graphs of fixtures/shapes. */
async function filesOf(backend: Backend, more: Partial<CheckpointFiles> = {}): Promise<ClientFiles> {
  const prepared = preparedFiles({
    config: parseSidecar(sidecarOf(await readFile(join(SHAPES, 'hf/config.json'), 'utf8'))),
    sidecars: await readSidecars(
      await openAll(
        inputs(),
        NAMES.map((name) => [name, join(SHAPES, 'hf', name)] as const),
      ),
    ),
    metadata: SHAPES_METADATA,
    ...more,
  });
  return backend.clientFiles({ emitted: SHAPES_ONNX, prepared, facts: README_FACTS });
}

const textOf = ({ files }: ClientFiles, name: string) => files.find((file) => file.name === name)!.text;

test('runtimes of ours read tokenizer and processor; what only transformers.js reads is not beside them', async () => {
  const own = [await filesOf(tfjs), await filesOf(wgsl)];
  const theirs = await filesOf(onnx);
  for (const made of own) {
    expect(made.files.map(({ name }) => name).toSorted()).toEqual([
      'README.md',
      'preprocessor_config.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
    for (const name of ['preprocessor_config.json', 'tokenizer.json', 'tokenizer_config.json'])
      expect(textOf(made, name)).toBe(textOf(theirs, name));
  }
  expect(theirs.files.map(({ name }) => name).toSorted()).toEqual([
    'README.md',
    'config.json',
    'generation_config.json',
    'preprocessor_config.json',
    'tokenizer.json',
    'tokenizer_config.json',
  ]);
});

test('a damaged file is no matter to a client that does not read it', async () => {
  const damaged = { sidecars: new Map([['generation_config.json', sidecarOf('{')]] as const) };
  expect((await filesOf(wgsl, damaged)).files).toHaveLength(2);
  await expect(filesOf(onnx, damaged)).rejects.toThrow(expect.objectContaining({ code: 'bad_sidecar' }));
});

test('a bundle without a tokenizer says so', async () => {
  const made = await filesOf(wgsl, { sidecars: new Map() });
  expect(made.files.map(({ name }) => name)).toEqual(['preprocessor_config.json', 'README.md']);
  expect(textOf(made, 'README.md')).toContain('This bundle has no tokenizer');
  expect(made.notes.join()).toContain('--tokenizer');
  const tokenizer = await readSidecar(await inputs().open(join(SHAPES, 'tokenizer.model')));
  const given = await filesOf(wgsl, { sidecars: new Map(), tokenizer });
  expect(given.files.map(({ name }) => name)).toContain('tokenizer.json');
});

test('big_vision’s resize is in the processor config', async () => {
  const resample = async (reference: 'huggingface' | 'bigvision') => {
    const made = await filesOf(wgsl, { sidecars: new Map(), reference });
    return (JSON.parse(textOf(made, 'preprocessor_config.json')) as { resample: number }).resample;
  };
  expect([await resample('huggingface'), await resample('bigvision')]).toEqual([3, 2]);
});

test('a ColPali is for clients that take vectors', () => {
  const colpali = { ...SHAPES_METADATA, retrievalWidth: 8 };
  for (const backend of [tfjs, wgsl]) {
    expect(backend.modelRefusal!(colpali)).toContain('ColPali');
    expect(backend.modelRefusal!(SHAPES_METADATA)).toBeUndefined();
  }
  expect(onnx.modelRefusal?.(colpali)).toBeUndefined();
});
