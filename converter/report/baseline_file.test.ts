import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, test } from 'vitest';
import { figuresOf } from '../../verify/baseline.ts';
import { tempFolders } from '../testing/bundle.ts';
import { checkBaseline, readBaseline, readReplaced, writeBaseline } from './baseline_file.ts';
import { measured, soundReport } from './testing/reports.ts';

const folder = tempFolders();

it('is read as it was written, and written with the same bytes', async () => {
  const file = join(await folder(), 'parity', 'fp16.json');
  const figures = { ...measured, ...figuresOf(soundReport) };
  await writeBaseline(file, figures);
  expect(await readBaseline(file)).toMatchObject(figures);
  const text = await readFile(file, 'utf8');
  await writeBaseline(file, figures);
  expect(await readFile(file, 'utf8')).toBe(text);
});

it('that is not there says how to make one', async () => {
  await expect(readBaseline(join(await folder(), 'none.json'))).rejects.toMatchObject({
    code: 'baseline_missing',
    exitCode: 3,
    place: { hint: expect.stringContaining('--update-baseline') },
  });
});

test.each([
  ['no JSON', '{'],
  ['another file', '{"format": "pgconv-recording", "version": 1}'],
  ['of a later version', JSON.stringify({ format: 'pgconv-baseline', version: 3 })],
  [
    'without figures',
    JSON.stringify({
      format: 'pgconv-baseline',
      version: 2,
      tool: { name: 'x', version: '1' },
      candidate: 'x',
      ...measured,
      figures: [],
    }),
  ],
])('%s is refused', async (_, text) => {
  const file = join(await folder(), 'x.json');
  await writeFile(file, text);
  await expect(readBaseline(file)).rejects.toMatchObject({ code: 'baseline_invalid', exitCode: 3, place: { file } });
});

test('of an earlier pgconv says how to make another', async () => {
  const file = join(await folder(), 'x.json');
  await writeFile(file, JSON.stringify({ format: 'pgconv-baseline', version: 1, candidate: 'x', precision: 'fp16' }));
  await expect(readBaseline(file)).rejects.toMatchObject({
    code: 'baseline_old',
    exitCode: 3,
    place: { hint: expect.stringContaining('--update-baseline') },
  });
  expect(await readReplaced(file)).toBeUndefined();
});

test('of another model or precision is refused, with what differs', () => {
  const { model } = measured;
  checkBaseline('x.json', measured, { ...measured, model: { ...model, retrievalWidth: undefined } });
  const other = { precision: 'int4', model: { ...model, layers: 6, retrievalWidth: 8 } };
  const expected = {
    code: 'baseline_of_another',
    exitCode: 2,
    message:
      'the baseline is of fp16, the bundle int4; layers is 4 in the baseline, and 6 in the bundle; retrievalWidth is none in the baseline, and 8 in the bundle',
  };
  expect(() => checkBaseline('x.json', measured, other)).toThrow(expect.objectContaining(expected));
});

test('takes the place of a baseline alone, or of nothing', async () => {
  const dir = await folder();
  const file = join(dir, 'package.json');
  await writeFile(file, '{"name": "mine"}');
  await expect(readReplaced(file)).rejects.toMatchObject({ code: 'exists', exitCode: 4, place: { file } });
  const merged = join(dir, 'merged.json');
  await writeFile(merged, '<<<<<<<\n{ "format": "pgconv-baseline"');
  expect(await readReplaced(merged)).toBeUndefined();
  await writeFile(merged, '');
  expect(await readReplaced(merged)).toBeUndefined();
  expect(await readReplaced(join(dir, 'none.json'))).toBeUndefined();
});
