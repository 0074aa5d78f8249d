import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inputsOfTests, openAll } from '../inputs/testing/inputs_of_tests.ts';
import { parseSidecar, readSidecar, readSidecars } from './sidecar.ts';
import { sidecarOf } from './testing/sidecar_of.ts';

const inputs = inputsOfTests();

test('numbers that no double holds are read as JavaScript reads them', () => {
  expect(parseSidecar(sidecarOf('{"model_max_length": 1000000000000000019884624838656, "a": [0.5, -1e-6]}'))).toEqual({
    model_max_length: 1e30,
    a: [0.5, -1e-6],
  });
});

test('any text may be a key', () => {
  const vocab = parseSidecar(sidecarOf('{"__proto__": 1, "constructor": 2}'));
  expect(Object.entries(vocab)).toEqual([
    ['__proto__', 1],
    ['constructor', 2],
  ]);
});

test.each([
  ['', 'the end of the text', 0],
  ['{"a": 1', 'after a value', 7],
  ['{"a": 1, "a": 2}', 'duplicate key "a"', 9],
  ['[1]', 'expected a JSON object', 0],
  ['{} x', 'expected the end of the text', 3],
  ['{"a": NaN}', 'found "N"', 6],
])('%s is refused with its place', (text, message, offset) => {
  expect(() => parseSidecar(sidecarOf(text))).toThrow(
    expect.objectContaining({
      code: 'bad_sidecar',
      message: expect.stringContaining(message) as string,
      place: expect.objectContaining({ file: 'dir/file.json', offset }) as object,
    }),
  );
});

test('a Git LFS pointer is called by its name', () => {
  const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 17549604\n';
  expect(() => parseSidecar(sidecarOf(pointer))).toThrow(
    expect.objectContaining({
      code: 'git_lfs_pointer',
      place: expect.objectContaining({ hint: expect.stringContaining('git lfs pull') as string }) as object,
    }),
  );
});

test('files are read whole, and refused when they are too large', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'pgconv-sidecar-'));
  const file = join(dir, 'generation_config.json');
  await writeFile(file, '{"a": 1}');
  expect(
    parseSidecar(
      (await readSidecars(await openAll(inputs(), [['generation_config.json', file] as const]))).get(
        'generation_config.json',
      )!,
    ),
  ).toEqual({ a: 1 });
  await expect(readSidecar(await inputs().open(file), 7)).rejects.toMatchObject({
    code: 'sidecar_too_large',
    place: { file },
  });
  await rm(dir, { recursive: true });
});
