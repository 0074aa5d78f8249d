import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempFolder } from '../checkpoints/testing/temp_folder.ts';
import { testFields } from '../testing/bundle.ts';
import { makeManifest, MANIFEST_NAME, parseManifest, printManifest, readManifest, type FileEntry } from './manifest.ts';

const entry = (path: string, bytes = 1): FileEntry => ({ path, bytes, sha256: '0'.repeat(64) });
const made = makeManifest(testFields, [entry('b'), entry('a/c'), entry('a')]);
const parsed = (value: unknown) =>
  parseManifest(Buffer.from(typeof value === 'string' ? value : `${JSON.stringify(value, null, 2)}\n`), 'f');

it('reads what was printed, files in order of their paths', () => {
  expect(parsed(printManifest(made))).toEqual(made);
  expect(made.files.map(({ path }) => path)).toEqual(['a', 'a/c', 'b']);
  expect(makeManifest(testFields, [entry('a'), entry('b'), entry('a/c')])).toEqual(made);
});

it('a checkpoint is one path or several', () => {
  for (const checkpoint of [['a'], ['a', 'b'], ['a', 'b', 'c']]) {
    const options = { ...testFields.options, checkpoint };
    expect(parsed(printManifest(makeManifest({ ...testFields, options }, []))).options.checkpoint).toEqual(checkpoint);
  }
});

const chosenByData = {
  shown: 'ab'.repeat(32),
  pictures: { chose: 3, judged: 1, leftOut: 0 },
  matrices: 2,
  weighted: ['a'],
  gptq: [],
};

it('what data chose is recorded, or not, and an algorithm only where one was named', () => {
  const { algorithm: named, ...options } = testFields.options;
  expect(named).toBeDefined();
  const own = parsed(printManifest(makeManifest({ ...testFields, options, chosenByData }, [])));
  expect(own.chosenByData).toEqual(chosenByData);
  expect(own.options).not.toHaveProperty('algorithm');
  expect(made).not.toHaveProperty('chosenByData');
});

describe('what does not fit is refused, with its place', () => {
  const { options, program } = made;
  it.each<[string, object]>([
    ['options.checkpoint', { options: { ...options, checkpoint: [] } }],
    ['options.checkpoint', { options: { ...options, checkpoint: 'a' } }],
    ['options.reference', { options: { ...options, reference: 'jax' } }],
    ['options.accuracyLevel', { options: { ...options, accuracyLevel: 1 } }],
    ['options.layersPerGraph', { options: { ...options, layersPerGraph: 0 } }],
    ['program.vocabSize', { program: { ...program, vocabSize: -1 } }],
    ['program.vocabSize', { program: { ...program, vocabSize: 1.5 } }],
    ['program.retrievalWidth', { program: { ...program, retrievalWidth: 0 } }],
    ['files.0.bytes', { files: [entry('a', -1)] }],
    ['files.0.sha256', { files: [{ ...entry('a'), sha256: 'F'.repeat(64) }] }],
    ['files.0.sha256', { files: [{ ...entry('a'), sha256: '0'.repeat(63) }] }],
    ['chosenByData.shown', { chosenByData: { ...chosenByData, shown: 'x' } }],
    ['chosenByData.pictures.judged', { chosenByData: { ...chosenByData, pictures: { chose: 1, leftOut: 0 } } }],
    ['sha256', { sha256: '' }],
    ['formatVersion', { formatVersion: 2 }],
    ['format', { format: 'other' }],
    ['tool.name', { tool: { name: 'other', version: '1' } }],
  ])('%s', (place, change) => {
    expect(() => parsed({ ...made, ...change })).toThrow(
      expect.objectContaining({
        code: 'manifest_invalid',
        message: expect.stringContaining(` at ${place}: `) as string,
      }),
    );
  });

  it('fields that nobody wrote', () => {
    expect(() => parsed({ ...made, more: 1 })).toThrow(expect.objectContaining({ code: 'manifest_invalid' }));
  });
});

describe('another text than was written is damaged', () => {
  it.each<[string, string]>([
    ['the same fields in another layout', JSON.stringify(made)],
    ['without the line’s end', printManifest(made).trimEnd()],
    ['another value', printManifest({ ...made, precision: 'other' })],
    ['another sha256', printManifest({ ...made, sha256: '1'.repeat(64) })],
  ])('%s', (_, text) => {
    expect(() => parsed(text)).toThrow(expect.objectContaining({ code: 'manifest_damaged' }));
  });
});

it('a byte order mark is no part of a manifest, and neither are bytes that are no UTF-8', () => {
  expect(() => parsed(`\ufeff${printManifest(made)}`)).toThrow(expect.objectContaining({ code: 'manifest_invalid' }));
  const bytes = Buffer.from(printManifest(made));
  bytes[bytes.indexOf('pgconv-bundle')] = 0xff;
  expect(() => parseManifest(bytes, 'f')).toThrow(/is not UTF-8 text/);
});

it('a manifest beyond 16 MiB is not read', async () => {
  const folder = tempFolder();
  writeFileSync(join(folder, MANIFEST_NAME), printManifest(made).padEnd(16 * 1024 * 1024 + 1));
  await expect(readManifest(folder)).rejects.toThrow(/at most 16777216/);
  writeFileSync(join(folder, MANIFEST_NAME), printManifest(made).padEnd(16 * 1024 * 1024));
  await expect(readManifest(folder)).rejects.toMatchObject({ code: 'manifest_damaged' });
});
